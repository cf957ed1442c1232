-- params: text, text, text, text, int
-- Effects within a scope, newest first, by state and job where these are given; primary key, and effects_job for a job's own.
select id, key, job, kind, tenant, class, state, money, intent, evidence, lease, op, start_by, tries, rev, created_at, open_since, settled_at
from effects
where ($1 = '*' or tenant = $1) and ($2 = '' or state = $2) and ($3 = '' or job = $3) and id < $4
order by id desc
limit $5
