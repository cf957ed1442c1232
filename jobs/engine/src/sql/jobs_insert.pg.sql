-- params: text
-- Inserts jobs that have no key, or whose key the register gave to them, the same for a throttle; primary keys.
insert into jobs (id, kind, version, queue, state, tenant, args, tags, priority, run_at, rank, deadline, max_attempts, key, trace, created_at, limit_key, units)
select v.id, v.kind, v.version, v.queue, v.state, v.tenant, v.args, v.tags, v.priority, v.run_at, v.rank, v.deadline, v.max_attempts, v.key, v.trace, v.created_at, v.limit_key, v.units
from json_to_recordset(cast($1 as json)) as v(id text, kind text, version bigint, queue text, state text, tenant text, args text, tags text,
  priority bigint, run_at bigint, rank bigint, deadline bigint, max_attempts bigint, key text, trace text, created_at bigint, reg text, slot text,
  limit_key text, units bigint)
where (v.reg = '' or v.id = (select r.job_id from register r where r.key = decode(v.reg, 'hex')))
  and (v.slot = '' or v.id = (select t.job_id from throttles t where t.key = v.slot))
