-- params: text
-- Keeps lines of running jobs, under their leases; a line that is there already stays; primary keys.
insert into job_logs (job, attempt, seq, tenant, line, at)
select j.id, cast(v.value ->> 'attempt' as bigint), cast(v.value ->> 'seq' as bigint), j.tenant, v.value ->> 'line',
  cast(v.value ->> 'at' as bigint)
from json_each($1) as v
join jobs j on j.id = v.value ->> 'job' and j.state = 'running' and j.lease = v.value ->> 'lease'
where true
on conflict (job, attempt, seq) do nothing
