-- params: text
-- Archived jobs of the scope per state.
select state, count(*) as jobs
from archive
where ($1 = '*' or tenant = $1)
group by state
order by state
limit 10
