-- params: text, int
-- Takes throttles that are free, sorted by key: the first job of each is let through; primary key.
insert into throttles (key, job_id, free_at)
select w.slot, w.id, w.free_at
from (
  select v.*, row_number() over (partition by v.slot order by v.n) as place
  from json_to_recordset(cast($1 as json)) as v(id text, reg text, slot text, n bigint, free_at bigint)
  where v.reg = '' or v.id = (select r.job_id from register r where r.key = decode(v.reg, 'hex'))) w
where w.place = 1
order by w.slot
on conflict (key) do update set job_id = excluded.job_id, free_at = excluded.free_at where throttles.free_at <= $2
