-- params: text
-- Intends effects whose keys are new; primary key and effects_key.
insert into effects (id, key, job, kind, tenant, class, state, money, intent, lease, op, start_by, created_at, open_since)
select v.value ->> 'id', v.value ->> 'key', v.value ->> 'job', v.value ->> 'kind', v.value ->> 'tenant', v.value ->> 'class', 'intended',
  cast(v.value ->> 'money' as bigint), v.value ->> 'intent', v.value ->> 'lease', v.value ->> 'op',
  cast(v.value ->> 'start_by' as bigint), cast(v.value ->> 'now' as bigint), cast(v.value ->> 'now' as bigint)
from json_each($1) as v
where true
on conflict (key) do nothing
