-- params: text, text, int, int, int
-- Enqueues the job of every settlement this operation made; primary key of settlements.
insert into jobs (id, kind, version, queue, state, tenant, args, priority, run_at, rank, max_attempts, created_at)
select s.job_id, 'settlement', $3, 'money', 'available', s.tenant_id, '{"settlement_id":"' || s.id || '"}', $5,
  cast(v.value ->> 'received_at' as bigint), cast(v.value ->> 'rank' as bigint), $4, cast(v.value ->> 'received_at' as bigint)
from json_each($1) as v
join settlements s on s.id = v.value ->> 'settlement_id' and s.op = $2
order by s.job_id
