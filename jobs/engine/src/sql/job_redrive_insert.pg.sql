-- params: text, text, int
-- Brings a dead or cancelled job of the scope back under its own id, attempts kept, one more allowed, into its slot if it has one. Who forgets it meanwhile
-- waits for this, or this for them; primary keys.
insert into jobs (id, kind, version, queue, state, tenant, args, tags, priority, run_at, rank, deadline, attempt, max_attempts, key, trace, errors, rev, created_at, unique_key, limit_key, units, sequence, seq_no, seq_passes)
select id, kind, version, queue, case when sequence = '' then 'available' else 'blocked' end, tenant, args, tags, priority, $3, $3 + priority * 60000000, 0, attempt,
  case when max_attempts > attempt then max_attempts else attempt + 1 end, key, trace, errors, rev + 1, created_at, unique_key, limit_key, units, sequence, seq_no, seq_passes
from archive
where ($1 = '*' or tenant = $1) and id = $2 and state in ('dead', 'cancelled') and reason <> 'erased'
for update
on conflict (id) do nothing
returning id, queue
