-- params: text, text, int, text
-- Copies the job stamped by this operation to the archive as cancelled, in the class its kind has among the given; primary key.
insert into archive (id, kind, version, queue, state, tenant, args, tags, priority, run_at, deadline, attempt, max_attempts, crashes, lease, op, rev, key, trace, errors, reason, result, created_at, started_at, finished_at, unique_key, limit_key, units, sequence, seq_no, seq_passes, class)
select id, kind, version, queue, 'cancelled', tenant, args, tags, priority, run_at, deadline, attempt, max_attempts, crashes, lease, op, rev,
  key, trace, errors, reason, '', created_at, started_at, $3, unique_key, limit_key, units, sequence, seq_no, seq_passes,
  coalesce((select v.value ->> 'class' from json_each($4) as v where v.value ->> 'kind' = jobs.kind), 'long')
from jobs
where id = $1 and op = $2 and state in ('held', 'blocked')
