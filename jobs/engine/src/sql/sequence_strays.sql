-- params: int
-- Sequences whose first blocked job nothing is before, and those that a job stops that is not dead any more; indexes
-- jobs_sequence_blocked, jobs_sequence_active, sequence_stops_key and primary keys.
select s.tenant, s.key, 1 as is_stale
from sequence_stops s
where not exists (select 1 from archive a where a.id = s.job and a.state = 'dead' and a.reason <> 'erased')
union
select q.tenant, q.key, 0
from (
  select j.tenant, j.sequence as key, min(j.seq_no) as no from jobs j where j.state = 'blocked' group by j.tenant, j.sequence) q
where (select count(*) from jobs a where a.tenant = q.tenant and a.sequence = q.key and a.sequence <> '' and a.state <> 'blocked') = 0
  and (select count(*) from sequence_stops s where s.tenant = q.tenant and s.key = q.key and s.no < q.no) = 0
order by 1, 2
limit $1
