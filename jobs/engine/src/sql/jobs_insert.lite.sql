-- params: text
-- Inserts jobs that have no key, or whose key the register gave to them, the same for a throttle; primary keys.
insert into jobs (id, kind, version, queue, state, tenant, args, tags, priority, run_at, rank, deadline, max_attempts, key, trace, created_at, limit_key, units)
select v.value ->> 'id', v.value ->> 'kind', v.value ->> 'version', v.value ->> 'queue', v.value ->> 'state', v.value ->> 'tenant',
  v.value ->> 'args', v.value ->> 'tags', v.value ->> 'priority', v.value ->> 'run_at', v.value ->> 'rank', v.value ->> 'deadline',
  v.value ->> 'max_attempts', v.value ->> 'key', v.value ->> 'trace', v.value ->> 'created_at',
  v.value ->> 'limit_key', v.value ->> 'units'
from json_each($1) as v
where (v.value ->> 'reg' = '' or v.value ->> 'id' = (select r.job_id from register r where r.key = v.value ->> 'reg'))
  and (v.value ->> 'slot' = '' or v.value ->> 'id' = (select t.job_id from throttles t where t.key = v.value ->> 'slot'))
