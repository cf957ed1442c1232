-- params: text, int, int
-- Lets the first blocked job of each of the input's sequences go on, unless another one of it is live and not blocked, or a
-- dead one before it stops it. The sequences are locked; indexes jobs_sequence_blocked, jobs_sequence_active, sequence_stops_key.
update jobs
set state = case when run_at > $2 then 'scheduled' else 'available' end, run_at = case when run_at > $2 then run_at else $2 end,
  rank = case when run_at > $2 then run_at else $2 end + priority * $3, rev = rev + 1
where id in (
  select j.id
  from json_each($1) v
  cross join jobs j on j.state = 'blocked' and j.tenant = v.value ->> 'tenant' and j.sequence = v.value ->> 'key'
    and j.seq_no = (select min(b.seq_no) from jobs b where b.state = 'blocked' and b.tenant = v.value ->> 'tenant' and b.sequence = v.value ->> 'key')
  where (select count(*) from jobs a where a.tenant = j.tenant and a.sequence = j.sequence and a.sequence <> '' and a.state <> 'blocked') = 0
    and (select count(*) from sequence_stops s where s.tenant = j.tenant and s.key = j.sequence and s.no < j.seq_no) = 0)
returning id as promoted, queue, state
