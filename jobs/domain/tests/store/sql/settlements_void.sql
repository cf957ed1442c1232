-- params: none
-- What only the chain's evidence does.
update settlements set state = 'void'
