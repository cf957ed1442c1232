-- params: text
-- A member that is live again counts again, unless its group has fired a callback; primary keys.
update groups
set pending = groups.pending + 1, dead = groups.dead - m.dead, completed = groups.completed - m.completed
from (
  select m.grp, case when m.ended = 'dead' then 1 else 0 end as dead, case when m.ended = 'completed' then 1 else 0 end as completed
  from group_members m
  where m.job = $1 and m.ended <> '' and exists (select 1 from jobs j where j.id = m.job)
    and not exists (select 1 from group_callbacks c where c.grp = m.grp and c.fired_at > 0)) m
where groups.id = m.grp
