-- params: text
-- Says how far running jobs are, under their leases; primary keys.
insert into job_progress (job, tenant, percent, note, at)
select j.id, j.tenant, cast(v.value ->> 'percent' as bigint), v.value ->> 'note', cast(v.value ->> 'at' as bigint)
from json_each($1) as v
join jobs j on j.id = v.value ->> 'job' and j.state = 'running' and j.lease = v.value ->> 'lease'
where true
on conflict (job) do update set percent = excluded.percent, note = excluded.note, at = excluded.at
