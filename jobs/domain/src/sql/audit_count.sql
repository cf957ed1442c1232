-- params: none
-- How many entries there are; a scan of the primary key.
select count(*) as n
from audit_log l
