-- params: text, text, int, int, int
-- Lines of one job within a scope in order, after an attempt and a line of it; primary key.
select attempt, seq, line, at
from job_logs
where ($1 = '*' or tenant = $1) and job = $2 and (attempt > $3 or (attempt = $3 and seq > $4))
order by attempt, seq
limit $5
