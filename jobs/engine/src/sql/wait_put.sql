-- params: text, text, int
-- What the jobs of the input wait for that this operation has put to sleep; primary keys.
insert into waits (job, tenant, name, key, op, since)
select j.id, j.tenant, v.value ->> 'name', v.value ->> 'key', $2, $3
from json_each($1) as v
join jobs j on j.id = v.value ->> 'job'
where j.op = $2 and j.state in ('waiting', 'scheduled')
on conflict (job) do update
set tenant = excluded.tenant, name = excluded.name, key = excluded.key, op = excluded.op, since = excluded.since
