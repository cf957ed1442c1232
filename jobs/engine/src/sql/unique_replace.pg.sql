-- params: text
-- Gives holders that wait for a claim what was asked for last; a debounced one runs later, up to its longest wait; index jobs_unique_key.
update jobs j
set kind = h.kind, version = h.version, queue = h.queue, state = case when j.state = 'blocked' then 'blocked' when h.due > h.created_at then 'scheduled' else 'available' end,
  args = h.args, tags = h.tags, priority = h.priority, run_at = h.due, rank = h.due + h.priority * 60000000, deadline = h.deadline,
  trace = h.trace, limit_key = h.limit_key, units = h.units, cancel_asked = 0, reason = '', rev = j.rev + 1
from (
  select k.at, w.*, case when w.max_wait = 0 then w.run_at
      when w.run_at > k.first_at + w.max_wait and k.first_at + w.max_wait > k.was_at then k.first_at + w.max_wait
      when w.run_at > k.was_at and w.run_at <= k.first_at + w.max_wait then w.run_at
      else k.was_at end as due
  from (
    select v.*, row_number() over (partition by v.unique_key order by v.turn) as place,
      first_value(v.id) over (partition by v.unique_key order by v.n) as maker
    from json_to_recordset(cast($1 as json)) as v(id text, kind text, version bigint, queue text, args text, tags text, priority bigint,
      run_at bigint, deadline bigint, trace text, created_at bigint, limit_key text, units bigint, reg text, unique_key text, n bigint, turn bigint, max_wait bigint)
    where v.turn < 0 and (v.reg = '' or v.id = (select r.job_id from register r where r.key = decode(v.reg, 'hex')))) w
  cross join lateral (
    select j.id as at, j.run_at as was_at, j.created_at as first_at
    from jobs j
    where j.unique_key = w.unique_key and j.unique_key <> '' and j.id <> w.maker
      and j.state in ('scheduled', 'available', 'retryable', 'blocked') and j.open_effects = 0) k
  where w.place = 1) h
where j.id = h.at
