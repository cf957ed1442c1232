-- params: text
-- Gives holders that wait for a claim what was asked for last; a debounced one runs later, up to its longest wait; index jobs_unique_key.
update jobs
set kind = h.kind, version = h.version, queue = h.queue, state = case when jobs.state = 'blocked' then 'blocked' when h.due > h.created_at then 'scheduled' else 'available' end,
  args = h.args, tags = h.tags, priority = h.priority, run_at = h.due, rank = h.due + h.priority * 60000000, deadline = h.deadline,
  trace = h.trace, limit_key = h.limit_key, units = h.units, cancel_asked = 0, reason = '', rev = jobs.rev + 1
from (
  select j.rowid as at, w.*, case when w.max_wait = 0 then w.run_at
      when w.run_at > j.created_at + w.max_wait and j.created_at + w.max_wait > j.run_at then j.created_at + w.max_wait
      when w.run_at > j.run_at and w.run_at <= j.created_at + w.max_wait then w.run_at
      else j.run_at end as due
  from (
    select v.value ->> 'kind' as kind, v.value ->> 'version' as version, v.value ->> 'queue' as queue,
      v.value ->> 'args' as args, v.value ->> 'tags' as tags, v.value ->> 'priority' as priority,
      v.value ->> 'run_at' as run_at, v.value ->> 'deadline' as deadline, v.value ->> 'trace' as trace,
      v.value ->> 'limit_key' as limit_key, v.value ->> 'units' as units,
      v.value ->> 'created_at' as created_at, v.value ->> 'unique_key' as unique_key, v.value ->> 'max_wait' as max_wait,
      row_number() over (partition by v.value ->> 'unique_key' order by v.value ->> 'turn') as place,
      first_value(v.value ->> 'id') over (partition by v.value ->> 'unique_key' order by v.value ->> 'n') as maker
    from json_each($1) as v
    where v.value ->> 'turn' < 0
      and (v.value ->> 'reg' = '' or v.value ->> 'id' = (select r.job_id from register r where r.key = v.value ->> 'reg'))) w
  cross join jobs j on j.unique_key = w.unique_key and j.unique_key <> ''
  where w.place = 1 and j.id <> w.maker and j.state in ('scheduled', 'available', 'retryable', 'blocked') and j.open_effects = 0
  limit 1000) h
where jobs.rowid = h.at
