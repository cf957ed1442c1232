-- params: text, text
-- Notes which job stands for each row whose key is its own, for this call and its repeat; primary keys, index jobs_unique_key.
update ops
set answer = answer || coalesce((
  select string_agg(v.id || ' ' || coalesce(j.id, t.job_id) || chr(10), '')
  from json_to_recordset(cast($2 as json)) as v(id text, reg text, unique_key text, slot text)
  left join jobs j on j.unique_key = v.unique_key and j.unique_key <> ''
  left join throttles t on t.key = v.slot
  where v.reg = '' or v.id = (select r.job_id from register r where r.key = decode(v.reg, 'hex'))), '')
where id = $1
returning answer
