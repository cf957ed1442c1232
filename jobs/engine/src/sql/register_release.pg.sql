-- params: text
-- Gives keys back whose rows were refused: they made nothing; primary keys.
delete from register
where key = any(array(select decode(v.reg, 'hex') from json_to_recordset(cast($1 as json)) as v(reg text)))
  and job_id = any(array(select v.id from json_to_recordset(cast($1 as json)) as v(id text)))
  and not exists (select 1 from jobs j where j.id = register.job_id)
