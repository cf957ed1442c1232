-- params: text
-- Points keys of rows that made no job to the job that stands for them; primary keys, index jobs_unique_key.
update register
set job_id = h.holder
from (
  select v.id, decode(v.reg, 'hex') as reg, coalesce(j.id, t.job_id) as holder
  from json_to_recordset(cast($1 as json)) as v(id text, reg text, unique_key text, slot text)
  left join jobs j on j.unique_key = v.unique_key and j.unique_key <> ''
  left join throttles t on t.key = v.slot) h
where register.key = h.reg and register.job_id = h.id and h.holder <> h.id
