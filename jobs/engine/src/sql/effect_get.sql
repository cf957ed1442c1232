-- params: text, text
-- One effect within a scope; primary key.
select id, key, job, kind, tenant, class, state, money, intent, evidence, lease, op, start_by, tries, rev, created_at, open_since, settled_at
from effects
where ($1 = '*' or tenant = $1) and id = $2
