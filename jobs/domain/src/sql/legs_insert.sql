-- params: text
-- Appends the legs of entries; primary key.
insert into legs (entry_id, seq, tenant_id, debit, credit, amount_micros)
select v.value ->> 'entry_id', cast(v.value ->> 'seq' as bigint), v.value ->> 'tenant_id', v.value ->> 'debit', v.value ->> 'credit',
  cast(v.value ->> 'amount_micros' as bigint)
from json_each($1) as v
order by v.value ->> 'entry_id', cast(v.value ->> 'seq' as bigint)
