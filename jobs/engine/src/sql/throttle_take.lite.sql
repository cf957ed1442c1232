-- params: text, int
-- Takes throttles that are free: the first job of each is let through; primary key.
insert into throttles (key, job_id, free_at)
select w.slot, w.id, w.free_at
from (
  select v.value ->> 'slot' as slot, v.value ->> 'id' as id, v.value ->> 'free_at' as free_at,
    row_number() over (partition by v.value ->> 'slot' order by v.value ->> 'n') as place
  from json_each($1) as v
  where v.value ->> 'reg' = '' or v.value ->> 'id' = (select r.job_id from register r where r.key = v.value ->> 'reg')) w
where w.place = 1
on conflict (key) do update set job_id = excluded.job_id, free_at = excluded.free_at where throttles.free_at <= $2
