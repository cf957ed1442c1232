-- params: text
-- Marks that member as live again; primary keys.
update group_members
set ended = ''
where job = $1 and ended <> '' and exists (select 1 from jobs j where j.id = group_members.job)
  and not exists (select 1 from group_callbacks c where c.grp = group_members.grp and c.fired_at > 0)
