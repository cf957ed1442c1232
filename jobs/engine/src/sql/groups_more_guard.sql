-- params: text, text
-- Guard group_closed: every group of the input is there, open, and of the tenant of whoever adds to it; primary key.
insert into engine_guard (group_closed)
select 1
where exists (
  select 1
  from json_each($1) as v
  where not exists (
    select 1 from groups g
    where g.id = v.value ->> 'id' and g.op = $2 and g.sealed = 0 and g.tenant = v.value ->> 'tenant'))
