-- params: text, text
-- Marks the members among the input's jobs that have ended, once; their groups are locked; primary keys.
update group_members
set ended = (select a.state from archive a where a.id = group_members.job), op = $2
where ended = ''
  and job in (select v.value ->> 'id' from json_each($1) as v)
  and exists (select 1 from archive a where a.id = group_members.job)
  and not exists (select 1 from jobs j where j.id = group_members.job)
