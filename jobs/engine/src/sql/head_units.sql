-- params: text, int
-- What the first due job of a queue weighs; index jobs_claim.
select j.units
from jobs j
where j.queue = $1 and j.state in ('scheduled', 'available', 'retryable') and j.run_at <= $2
order by j.rank, j.id
limit 1
