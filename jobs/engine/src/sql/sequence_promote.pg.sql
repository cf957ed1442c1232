-- params: text, int, int
-- Lets the first blocked job of each of the input's sequences go on, unless another one of it is live and not blocked, or a
-- dead one before it stops it. The sequences are locked; indexes jobs_sequence_blocked, jobs_sequence_active, sequence_stops_key.
with v as materialized (
  select p.* from json_to_recordset(cast($1 as json)) as p(tenant text, key text)),
heads as materialized (
  select f.id
  from v cross join lateral (
    select j.id, j.seq_no
    from jobs j
    where j.state = 'blocked' and j.tenant = v.tenant and j.sequence = v.key
    order by j.seq_no
    limit 1) f
  where (select count(*) from jobs a where a.tenant = v.tenant and a.sequence = v.key and a.sequence <> '' and a.state <> 'blocked') = 0
    and (select count(*) from sequence_stops s where s.tenant = v.tenant and s.key = v.key and s.no < f.seq_no) = 0)
update jobs
set state = case when run_at > $2 then 'scheduled' else 'available' end, run_at = case when run_at > $2 then run_at else $2 end,
  rank = case when run_at > $2 then run_at else $2 end + priority * $3, rev = rev + 1
where id = any(array(select id from heads))
returning id as promoted, queue, state
