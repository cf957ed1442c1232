-- params: none
-- What only a hand could do.
update accounts set debits = debits + 1 where normal = 'debit'
