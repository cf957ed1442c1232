-- params: text
-- What is before a blocked job of a sequence: the live one that is not blocked, the first dead one that stops it, and how many
-- wait before it, up to 10,000; primary key, indexes jobs_sequence_active, jobs_sequence_blocked, sequence_stops_key.
select
  coalesce((select a.id from jobs a where a.tenant = j.tenant and a.sequence = j.sequence and a.sequence <> '' and a.state <> 'blocked'), '') as active,
  coalesce((select s.job from sequence_stops s where s.tenant = j.tenant and s.key = j.sequence and s.no < j.seq_no order by s.no limit 1), '') as stop,
  (select count(*) from (
    select 1 as one from jobs b
    where b.state = 'blocked' and b.tenant = j.tenant and b.sequence = j.sequence and b.seq_no < j.seq_no
    limit 10000) before) as waiting
from jobs j
where j.id = $1 and j.sequence <> ''
