-- params: text, text, int
-- Open findings within a scope, newest first; findings_open.
select id, what, object, tenant, detail, created_at
from findings
where ($1 = '*' or tenant = $1) and closed_at = 0 and id < $2
order by id desc
limit $3
