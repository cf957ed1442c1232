-- params: text, int
-- The earliest due time after now among the lowest ranks of a queue; index jobs_claim.
select min(n.run_at) as run_at
from (
  select j.run_at
  from jobs j
  where j.queue = $1 and j.state in ('scheduled', 'available', 'retryable') and j.rank > $2
  order by j.rank, j.id
  limit 100) n
where n.run_at > $2
