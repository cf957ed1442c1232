-- params: text, text
-- Notes which job stands for each row whose key is its own, for this call and its repeat; primary keys, index jobs_unique_key.
update ops
set answer = answer || coalesce((
  select group_concat(v.value ->> 'id' || ' ' || coalesce(j.id, t.job_id) || char(10), '')
  from json_each($2) as v
  left join jobs j on j.unique_key = v.value ->> 'unique_key' and j.unique_key <> ''
  left join throttles t on t.key = v.value ->> 'slot'
  where v.value ->> 'reg' = '' or v.value ->> 'id' = (select r.job_id from register r where r.key = v.value ->> 'reg')), '')
where id = $1
returning answer
