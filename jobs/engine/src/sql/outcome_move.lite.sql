-- params: text, text
-- Gives jobs that still run under the given leases their next live state, held while an effect of theirs is open; primary key, driven from the input.
update jobs
set state = case when jobs.open_effects > 0 then 'held' when h.reason = 'effect' then 'available' else h.state end,
  run_at = h.run_at, rank = h.rank, attempt = jobs.attempt + h.attempts, reruns = h.reruns,
  reason = case when jobs.open_effects > 0 then 'effect' else h.reason end,
  errors = h.errors, op = $2, lease = '', worker = '', rev = jobs.rev + 1
from (
  select j.rowid as at, v.value ->> 'state' as state, v.value ->> 'run_at' as run_at, v.value ->> 'rank' as rank,
    v.value ->> 'attempts' as attempts, v.value ->> 'reruns' as reruns, v.value ->> 'reason' as reason, v.value ->> 'errors' as errors
  from json_each($1) v
  cross join jobs j on j.id = v.value ->> 'id'
  where j.state = 'running' and j.lease = v.value ->> 'lease'
  limit 1000) h
where jobs.rowid = h.at
returning jobs.id as moved
