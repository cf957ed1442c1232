-- params: none
-- What an owner of the tables can do.
drop trigger audit_seals_no_delete
