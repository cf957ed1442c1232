-- params: text, int, int
-- Makes the jobs of the callbacks that this operation has stamped; index group_callbacks_op.
insert into jobs (id, kind, version, queue, state, tenant, args, tags, priority, run_at, rank, max_attempts, trace, created_at, limit_key, units)
select c.id, c.kind, c.version, c.queue, 'available', c.tenant, c.args, c.tags, c.priority, $2, $2 + c.priority * $3, c.max_attempts,
  c.trace, $2, c.limit_key, c.units
from group_callbacks c
where c.op = $1 and c.op <> ''
returning id, queue
