-- params: text, text, int, text, text
-- One live job of the scope, whether a claim of queue $1 by workers that run $2 takes it at $3, and how many claimable ones of
-- the scope come before it, up to 10,000; primary key, index jobs_claim.
select j.id, j.kind, j.version, j.queue, j.state, j.tenant, j.args, j.tags, j.priority, j.run_at, j.deadline, j.attempt,
  j.max_attempts, j.crashes, j.rev, j.key, j.worker, j.trace, j.errors, j.reason, '' as result, j.limit_key, j.units, j.created_at, j.started_at,
  0 as finished_at, j.sequence, j.lease,
  case when {{claimable}} then 1 else 0 end as eligible,
  (select count(*) from (
    select 1 as one
    from jobs o
    where o.queue = j.queue and o.state in ('scheduled', 'available', 'retryable')
      and o.rank <= j.rank and (o.rank < j.rank or o.id < j.id) and ($4 = '*' or o.tenant = $4)
    limit 10000) before) as ahead
from jobs j
where ($4 = '*' or j.tenant = $4) and j.id = $5
