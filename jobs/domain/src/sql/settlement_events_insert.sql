-- params: text, text
-- Stores messages whose id is new, stamped with the operation; in order of ids, which is the order of locks; primary key.
insert into settlement_events (id, digest, tenant_id, network, asset, payer, nonce, outcome, tx, body, received_at, op)
select v.value ->> 'event_id', v.value ->> 'digest', v.value ->> 'tenant_id', v.value ->> 'network', v.value ->> 'asset',
  v.value ->> 'payer', v.value ->> 'nonce', v.value ->> 'outcome', v.value ->> 'tx', v.value ->> 'body',
  cast(v.value ->> 'received_at' as bigint), $2
from json_each($1) as v
where true
order by v.value ->> 'event_id'
on conflict (id) do nothing
