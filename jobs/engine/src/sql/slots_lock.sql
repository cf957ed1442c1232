-- params: text, int
-- Locks the slots of the input, in order of keys, making those that are new; primary key.
insert into signal_slots (tenant, name, key, at)
select v.value ->> 'tenant', v.value ->> 'name', v.value ->> 'key', $2
from json_each($1) as v
where true
order by 1, 2, 3
on conflict (tenant, name, key) do update set at = excluded.at
