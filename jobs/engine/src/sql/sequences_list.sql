-- params: text, text, text, int
-- Sequences of the scope that somebody waits in, or that a dead job stops, behind a cursor; jobs_sequence_blocked, sequence_stops_key.
select q.tenant, q.key,
  (select count(*) from jobs w where w.state = 'blocked' and w.tenant = q.tenant and w.sequence = q.key) as waiting,
  coalesce((select min(w.created_at) from jobs w where w.state = 'blocked' and w.tenant = q.tenant and w.sequence = q.key), 0) as waiting_since,
  coalesce((select a.id from jobs a where a.tenant = q.tenant and a.sequence = q.key and a.sequence <> '' and a.state <> 'blocked'), '') as active,
  coalesce((select a.state from jobs a where a.tenant = q.tenant and a.sequence = q.key and a.sequence <> '' and a.state <> 'blocked'), '') as active_state,
  coalesce((select s.job from sequence_stops s where s.tenant = q.tenant and s.key = q.key order by s.no limit 1), '') as stop,
  coalesce((select s.at from sequence_stops s where s.tenant = q.tenant and s.key = q.key order by s.no limit 1), 0) as stopped_at
from (
  select w.tenant, w.sequence as key from jobs w where w.state = 'blocked' and ($1 = '*' or w.tenant = $1)
  union
  select s.tenant, s.key from sequence_stops s where ($1 = '*' or s.tenant = $1)) q
where q.tenant > $2 or (q.tenant = $2 and q.key > $3)
order by q.tenant, q.key
limit $4
