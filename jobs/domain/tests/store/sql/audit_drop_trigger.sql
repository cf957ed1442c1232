-- params: none
-- What an owner of the tables can do.
drop trigger audit_log_no_update
