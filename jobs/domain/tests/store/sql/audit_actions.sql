-- params: none
-- Audit entries by action; a scan.
select l.action as name, count(*) as n
from audit_log l
group by l.action
order by l.action
