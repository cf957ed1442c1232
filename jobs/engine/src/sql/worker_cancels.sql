-- params: text
-- Running jobs of a worker whose cancel was asked for; index jobs_running.
select id, reason from jobs where worker = $1 and worker <> '' and state = 'running' and cancel_asked = 1 order by id limit 1000
