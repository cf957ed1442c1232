-- params: text, int
-- Effects that nobody will settle: intents whose job does not run under their lease any more, and unknown ones without a live
-- job that resolves them. Only a binary that knows no effects leaves any; effects_open, and the primary key of jobs.
update effects
set state = 'unknown', op = $1, rev = rev + 1
where state in ('intended', 'unknown', 'needs_person') and open_since < $2
  and ((state = 'intended' and not exists (
      select 1 from jobs j where j.id = effects.job and j.state = 'running' and j.lease = effects.lease))
    or (state = 'unknown' and not exists (
      select 1 from jobs j where j.id >= 'job_' || substr(effects.id, 5, 32) and j.id < 'job_' || substr(effects.id, 5, 32) || 'g')))
returning id
