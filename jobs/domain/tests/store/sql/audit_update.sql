-- params: none
-- What nobody may do.
update audit_log set user_id = 'somebody else'
