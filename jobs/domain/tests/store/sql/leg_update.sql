-- params: none
-- What nobody may do.
update legs set debit = 'elsewhere'
