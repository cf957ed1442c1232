-- params: none
-- Workers that are not live and yet have running jobs: a claim that committed after its worker was declared dead; index jobs_running.
select distinct j.worker
from jobs j
where j.worker <> '' and j.state = 'running'
  and coalesce((select w.state from workers w where w.id = j.worker), '') <> 'live'
order by j.worker
limit 100
