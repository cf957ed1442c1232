-- params: text
-- Counts what this operation has marked as ended; index group_members_op and primary key.
update groups
set pending = groups.pending - c.n, completed = groups.completed + c.completed, dead = groups.dead + c.dead
from (
  select m.grp, count(*) as n, cast(sum(case when m.ended = 'completed' then 1 else 0 end) as bigint) as completed,
    cast(sum(case when m.ended = 'dead' then 1 else 0 end) as bigint) as dead
  from group_members m
  where m.op = $1 and m.op <> ''
  group by m.grp) c
where groups.id = c.grp
