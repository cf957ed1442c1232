-- params: text, text
-- What runs under a worker in one queue; index jobs_running.
select id, kind, version, queue, tenant, args, attempt, max_attempts, crashes, reruns, priority, run_at, deadline, lease, errors, trace, rank,
  coalesce((select 1 from group_members m where m.job = jobs.id), 0) as grouped, sequence
from jobs
where worker = $1 and worker <> '' and state = 'running' and queue = $2
order by rank, id
limit 1000
