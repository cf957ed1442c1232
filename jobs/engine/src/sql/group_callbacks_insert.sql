-- params: text
-- Keeps the jobs that groups make later; primary key.
insert into group_callbacks (id, grp, what, kind, version, queue, tenant, args, tags, priority, max_attempts, trace, limit_key, units)
select v.value ->> 'id', v.value ->> 'grp', v.value ->> 'what', v.value ->> 'kind', cast(v.value ->> 'version' as bigint),
  v.value ->> 'queue', v.value ->> 'tenant', v.value ->> 'args', v.value ->> 'tags', cast(v.value ->> 'priority' as bigint),
  cast(v.value ->> 'max_attempts' as bigint), v.value ->> 'trace', v.value ->> 'limit_key',
  cast(v.value ->> 'units' as bigint)
from json_each($1) as v
