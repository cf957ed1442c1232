-- params: text
-- Appends entries; the unique key refuses the same business event twice; entries_key.
insert into entries (id, key, tenant_id, type, amount_micros, metadata, created_at)
select v.value ->> 'id', v.value ->> 'key', v.value ->> 'tenant_id', v.value ->> 'type', cast(v.value ->> 'amount_micros' as bigint),
  v.value ->> 'metadata', cast(v.value ->> 'created_at' as bigint)
from json_each($1) as v
order by v.value ->> 'key'
