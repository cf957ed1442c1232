-- params: text, text, int
-- Copies the jobs stamped by this operation to the archive; primary key, driven from the input.
insert into archive (id, kind, version, queue, state, tenant, args, tags, priority, run_at, deadline, attempt, max_attempts, crashes, lease, op, rev, key, trace, errors, reason, result, created_at, started_at, finished_at, unique_key, limit_key, units, sequence, seq_no, seq_passes, class)
select j.id, j.kind, j.version, j.queue, v.value ->> 'state', j.tenant, j.args, j.tags, j.priority, j.run_at, j.deadline, j.attempt,
  j.max_attempts, j.crashes, j.lease, $2, j.rev + 1, j.key, j.trace, v.value ->> 'errors', v.value ->> 'reason', v.value ->> 'result',
  j.created_at, j.started_at, $3, j.unique_key, j.limit_key, j.units, j.sequence, j.seq_no, j.seq_passes, v.value ->> 'class'
from json_each($1) v
cross join jobs j on j.id = v.value ->> 'id'
where j.op = $2 and j.state = 'held'
