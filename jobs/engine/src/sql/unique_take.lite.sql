-- params: text
-- Takes the slots of unique keys: who finds one free makes a job; index jobs_unique_key.
insert into jobs (id, kind, version, queue, state, tenant, args, tags, priority, run_at, rank, deadline, max_attempts, key, trace, created_at, limit_key, units, unique_key)
select w.maker, w.asked ->> 'kind', w.asked ->> 'version', w.asked ->> 'queue', w.asked ->> 'state', w.asked ->> 'tenant',
  w.asked ->> 'args', w.asked ->> 'tags', w.asked ->> 'priority', w.asked ->> 'run_at', w.asked ->> 'rank', w.asked ->> 'deadline',
  w.asked ->> 'max_attempts', w.maker_key, w.asked ->> 'trace', w.asked ->> 'created_at',
  w.asked ->> 'limit_key', w.asked ->> 'units', w.unique_key
from (
  select v.value as asked, v.value ->> 'unique_key' as unique_key,
    row_number() over (partition by v.value ->> 'unique_key' order by v.value ->> 'turn') as place,
    first_value(v.value ->> 'id') over (partition by v.value ->> 'unique_key' order by v.value ->> 'n') as maker,
    first_value(v.value ->> 'key') over (partition by v.value ->> 'unique_key' order by v.value ->> 'n') as maker_key
  from json_each($1) as v
  where v.value ->> 'reg' = '' or v.value ->> 'id' = (select r.job_id from register r where r.key = v.value ->> 'reg')) w
where w.place = 1 and not exists (select 1 from jobs j where j.unique_key = w.unique_key and j.unique_key <> '')
