-- params: text
-- Guard group_closed: every job of the input that waits for a group waits for one that is there, of its tenant; primary keys.
insert into engine_guard (group_closed)
select 1
where exists (
  select 1
  from waits w
  where w.name = 'group' and w.job in (select v.value ->> 'id' from json_each($1) as v)
    and not exists (select 1 from groups g where g.id = w.key and g.tenant = w.tenant))
