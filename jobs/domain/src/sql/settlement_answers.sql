-- params: text
-- What is stored for each message of an intake: the message with its id and the payment it speaks of; primary key and settlements_network_asset_payer_nonce.
select v.value ->> 'event_id' as event_id, coalesce(e.digest, '') as digest, coalesce(e.op, '') as event_op,
  coalesce(s.id, '') as settlement_id, coalesce(s.job_id, '') as job_id, coalesce(s.state, '') as state,
  coalesce(s.amount_micros, 0) as amount_micros, coalesce(s.pay_to, '') as pay_to, coalesce(s.tenant_id, '') as tenant_id,
  coalesce(s.api_id, '') as api_id, coalesce(s.op, '') as op, coalesce(s.update_op, '') as update_op
from json_each($1) as v
left join settlement_events e on e.id = v.value ->> 'event_id'
left join settlements s on s.network = v.value ->> 'network' and s.asset = v.value ->> 'asset'
  and s.payer = v.value ->> 'payer' and s.nonce = v.value ->> 'nonce'
order by v.value ->> 'event_id'
