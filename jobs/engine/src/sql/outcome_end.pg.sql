-- params: text, text, int
-- Moves jobs that still run under the given leases to the archive; primary key, driven from the input.
with v as materialized (
  select e.id, e.lease, e.state, e.class, e.reason, e.result, e.errors
  from json_to_recordset(cast($1 as json)) as e(id text, lease text, state text, class text, reason text, result text, errors text)),
held as materialized (
  select v.id, v.state, v.class, v.reason, v.result, v.errors
  from v cross join lateral (
    select j.id from jobs j
    where j.id = v.id and j.state = 'running' and j.lease = v.lease and j.open_effects = 0
    for update) k),
gone as (
  delete from jobs where id = any(array(select id from held)) returning *)
insert into archive (id, kind, version, queue, state, tenant, args, tags, priority, run_at, deadline, attempt, max_attempts, crashes, lease, op, rev, key, trace, errors, reason, result, created_at, started_at, finished_at, unique_key, limit_key, units, sequence, seq_no, seq_passes, class)
select g.id, g.kind, g.version, g.queue, h.state, g.tenant, g.args, g.tags, g.priority, g.run_at, g.deadline, g.attempt,
  g.max_attempts, g.crashes, g.lease, $2, g.rev + 1, g.key, g.trace, h.errors, h.reason, h.result, g.created_at, g.started_at, $3, g.unique_key,
  g.limit_key, g.units, g.sequence, g.seq_no, g.seq_passes, h.class
from gone g
join held h on h.id = g.id
returning id as moved
