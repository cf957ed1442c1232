-- params: text
-- Forgets the waits of the input's jobs that are gone; primary keys.
delete from waits
where job in (select v.value ->> 'id' from json_each($1) as v)
  and not exists (select 1 from archive a where a.id = waits.job) and not exists (select 1 from jobs j where j.id = waits.job)
