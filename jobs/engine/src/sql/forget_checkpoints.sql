-- params: text
-- Forgets the checkpoints of the input's jobs that are gone; primary keys.
delete from checkpoints
where job in (select v.value ->> 'id' from json_each($1) as v)
  and not exists (select 1 from archive a where a.id = checkpoints.job) and not exists (select 1 from jobs j where j.id = checkpoints.job)
