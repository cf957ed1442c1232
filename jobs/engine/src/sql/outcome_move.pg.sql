-- params: text, text
-- Gives jobs that still run under the given leases their next live state, held while an effect of theirs is open; primary key, driven from the input.
with v as materialized (
  select m.* from json_to_recordset(cast($1 as json)) as m(id text, lease text, state text, run_at bigint, rank bigint,
    attempts bigint, reruns bigint, reason text, errors text)),
held as materialized (
  select v.* from v cross join lateral (
    select j.id from jobs j where j.id = v.id and j.state = 'running' and j.lease = v.lease for update) k)
update jobs j
set state = case when j.open_effects > 0 then 'held' when h.reason = 'effect' then 'available' else h.state end,
  run_at = h.run_at, rank = h.rank, attempt = j.attempt + h.attempts, reruns = h.reruns,
  reason = case when j.open_effects > 0 then 'effect' else h.reason end,
  errors = h.errors, op = $2, lease = '', worker = '', rev = j.rev + 1
from held h
where j.id = any(array(select id from held)) and j.id = h.id
returning j.id as moved
