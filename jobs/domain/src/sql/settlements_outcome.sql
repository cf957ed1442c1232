-- params: text, text
-- Records a new outcome of known payments; success moves unknown to reported, nothing moves back; settlements_network_asset_payer_nonce.
update settlements
set rev = settlements.rev + 1,
  prev_outcome = settlements.outcome,
  prev_tx = settlements.tx,
  outcome = v.value ->> 'outcome',
  tx = v.value ->> 'tx',
  error_reason = v.value ->> 'error_reason',
  state = case when settlements.state = 'unknown' and v.value ->> 'outcome' = 'success' then 'reported' else settlements.state end,
  update_op = $2
from json_each($1) as v
where settlements.network = v.value ->> 'network'
  and settlements.asset = v.value ->> 'asset'
  and settlements.payer = v.value ->> 'payer'
  and settlements.nonce = v.value ->> 'nonce'
  and settlements.op <> $2
  and (settlements.outcome <> v.value ->> 'outcome' or settlements.tx <> v.value ->> 'tx')
  and exists (select 1 from settlement_events e where e.id = v.value ->> 'event_id' and e.op = $2)
