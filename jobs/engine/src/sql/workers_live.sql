-- params: none
-- Live workers with their beat and how much they run; few rows, index jobs_running.
select w.id, w.host, w.pid, w.pid_start, w.beat,
  (select count(*) from jobs j where j.worker = w.id and j.worker <> '' and j.state = 'running') as running
from workers w
where w.state = 'live'
order by w.id
limit 1000
