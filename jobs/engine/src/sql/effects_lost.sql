-- params: text, text
-- The open intents of these jobs, which this commit has held, become unknown; effects_job, and the primary key of jobs.
update effects
set state = 'unknown', op = $1, rev = rev + 1
where state = 'intended' and job in (select v.value ->> 'id' from json_each($2) as v)
  and exists (select 1 from jobs j where j.id = effects.job and j.state = 'held' and j.reason = 'effect' and j.op = $1)
