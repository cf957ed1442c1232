-- params: text, text, text, text, int
-- Says that tenants share queue $1, and the weights of some of them: `{"tenant":…,"weight":…}`; primary key. Tenant '*' stands for the queue.
insert into shares (queue, tenant, weight, who, why, created_at)
select $1, v.value ->> 'tenant', cast(v.value ->> 'weight' as bigint), $3, $4, $5
from json_each($2) as v
where true
on conflict (queue, tenant) do update set weight = excluded.weight, who = excluded.who, why = excluded.why
