-- params: int
-- Members that have ended uncounted; indexes group_members_live and primary keys.
select m.job as id
from group_members m
where m.ended = '' and not exists (select 1 from jobs j where j.id = m.job)
  and exists (select 1 from archive a where a.id = m.job)
limit $1
