-- params: text
-- Forgets the rescues of the input's jobs that are gone; primary keys.
delete from rescues
where job in (select v.value ->> 'id' from json_each($1) as v)
  and not exists (select 1 from archive a where a.id = rescues.job) and not exists (select 1 from jobs j where j.id = rescues.job)
