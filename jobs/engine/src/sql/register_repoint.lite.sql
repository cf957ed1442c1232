-- params: text
-- Points keys of rows that made no job to the job that stands for them; primary keys, index jobs_unique_key.
update register
set job_id = h.holder
from (
  select v.value ->> 'id' as id, v.value ->> 'reg' as reg, coalesce(j.id, t.job_id) as holder
  from json_each($1) as v
  left join jobs j on j.unique_key = v.value ->> 'unique_key' and j.unique_key <> ''
  left join throttles t on t.key = v.value ->> 'slot'
  limit 1000) h
where register.key = h.reg and register.job_id = h.id and h.holder <> h.id
