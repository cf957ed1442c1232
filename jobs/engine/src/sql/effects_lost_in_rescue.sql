-- params: text
-- The open intents of whatever jobs this commit has held become unknown; effects_open, and the primary key of jobs.
update effects
set state = 'unknown', op = $1, rev = rev + 1
where state in ('intended', 'unknown', 'needs_person') and state = 'intended'
  and exists (select 1 from jobs j where j.id = effects.job and j.state = 'held' and j.reason = 'effect' and j.op = $1)
