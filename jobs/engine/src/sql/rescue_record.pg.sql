-- params: text, int, int, text, text
-- Records what is about to be taken from a worker that is not live, locking the jobs for it; index jobs_running.
insert into rescues (job, lease, worker, attempt, started_at, at, crash, rescuer, evidence)
select j.id, j.lease, j.worker, j.attempt, j.started_at, $2, $3, $4, $5
from jobs j
where j.worker = $1 and j.worker <> '' and j.state = 'running'
  and not exists (select 1 from workers w where w.id = $1 and w.state = 'live')
for update of j
on conflict (job, lease) do nothing
