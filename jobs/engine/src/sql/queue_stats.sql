-- params: text
-- Live jobs of the scope per queue and state; reads the live table only.
select queue, state, count(*) as jobs, min(run_at) as oldest
from jobs
where ($1 = '*' or tenant = $1)
group by queue, state
order by queue, state
limit 1000
