-- params: none
-- One link is gone.
delete from audit_seals where seq = 3
