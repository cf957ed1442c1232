-- params: text
-- When a job was taken from which worker, by whom, on what evidence, oldest first; primary key.
select lease, worker, attempt, started_at, at, crash, rescuer, evidence from rescues where job = $1 order by at, lease limit 100
