-- params: none
-- Live jobs by kind; a scan.
select j.kind as name, count(*) as n
from jobs j
group by j.kind
order by j.kind
