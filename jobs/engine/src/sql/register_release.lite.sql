-- params: text
-- Gives keys back whose rows were refused: they made nothing; primary keys.
delete from register
where key in (select v.value ->> 'reg' from json_each($1) as v)
  and job_id in (select v.value ->> 'id' from json_each($1) as v)
  and not exists (select 1 from jobs j where j.id = register.job_id)
