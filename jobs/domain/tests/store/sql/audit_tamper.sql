-- params: none
-- One entry says something else.
update audit_log set metadata = '{"n":99}' where metadata like '%"n":4%'
