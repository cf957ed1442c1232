-- params: text
-- The effect of a key; effects_key.
select id, key, job, kind, tenant, class, state, money, intent, evidence, lease, op, start_by, tries, rev, created_at, open_since, settled_at
from effects
where key = $1
