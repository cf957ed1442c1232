-- params: text, text
-- A stored message with its payment, within a scope; primary key and settlements_network_asset_payer_nonce.
select e.id as event_id, e.digest, e.op as event_op, s.id as settlement_id, s.job_id, s.state, s.amount_micros, s.pay_to, s.tenant_id,
  s.api_id, s.op, s.update_op
from settlement_events e
join settlements s on s.network = e.network and s.asset = e.asset and s.payer = e.payer and s.nonce = e.nonce
where ($1 = '*' or e.tenant_id = $1)
  and e.id = $2
