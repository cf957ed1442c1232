-- params: text, int, int
-- Locks the input's sequences, sorted, and gives each the numbers it asks for; primary key.
insert into sequences (tenant, key, next, day)
select v.value ->> 'tenant', v.value ->> 'key', $2 + cast(v.value ->> 'n' as bigint), $3
from json_each($1) as v
where true
order by 1, 2
on conflict (tenant, key) do update set next = sequences.next + excluded.next - $2, day = excluded.day
