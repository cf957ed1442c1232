-- params: text, text
-- Effects of one job within a scope, oldest first; effects_job.
select id, key, job, kind, tenant, class, state, money, intent, evidence, lease, op, start_by, tries, rev, created_at, open_since, settled_at
from effects
where ($1 = '*' or tenant = $1) and job = $2
order by id
limit 200
