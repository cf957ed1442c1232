-- params: text, text
-- Makes a settlement of every stamped message whose payment is new, in order of payments; settlements_network_asset_payer_nonce.
insert into settlements (id, network, asset, payer, nonce, tenant_id, api_id, amount_micros, pay_to, state, outcome, tx, error_reason,
  resource_type, caller_hash, request_id, reservation_id, x402_version, scheme, valid_after, valid_before, occurred_at, received_at,
  day, event_id, job_id, op)
select v.value ->> 'settlement_id', v.value ->> 'network', v.value ->> 'asset', v.value ->> 'payer', v.value ->> 'nonce',
  v.value ->> 'tenant_id', v.value ->> 'api_id', cast(v.value ->> 'amount_micros' as bigint), v.value ->> 'pay_to',
  v.value ->> 'state', v.value ->> 'outcome', v.value ->> 'tx', v.value ->> 'error_reason', v.value ->> 'resource_type',
  v.value ->> 'caller_hash', v.value ->> 'request_id', v.value ->> 'reservation_id', cast(v.value ->> 'x402_version' as bigint),
  v.value ->> 'scheme', cast(v.value ->> 'valid_after' as bigint), cast(v.value ->> 'valid_before' as bigint),
  cast(v.value ->> 'occurred_at' as bigint), cast(v.value ->> 'received_at' as bigint), v.value ->> 'day', v.value ->> 'event_id',
  v.value ->> 'job_id', $2
from json_each($1) as v
join settlement_events e on e.id = v.value ->> 'event_id' and e.op = $2
where true
order by v.value ->> 'network', v.value ->> 'asset', v.value ->> 'payer', v.value ->> 'nonce'
on conflict (network, asset, payer, nonce) do nothing
