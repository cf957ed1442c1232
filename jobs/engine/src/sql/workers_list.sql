-- params: none
-- Workers, newest first, with how much they run; few rows, index jobs_running.
select w.id, w.name, w.host, w.pid, w.version, w.queues, w.state, w.beat, w.started_at, w.seen_at,
  (select count(*) from jobs j where j.worker = w.id and j.state = 'running') as running
from workers w
order by w.id desc
limit 200
