-- params: text, text
-- Takes back stamped messages that contradict their payment, so that their ids are not used up; settlements_network_asset_payer_nonce.
delete from settlement_events
where op = $2
  and id in (
    select v.value ->> 'event_id'
    from json_each($1) as v
    join settlements s on s.network = v.value ->> 'network' and s.asset = v.value ->> 'asset'
      and s.payer = v.value ->> 'payer' and s.nonce = v.value ->> 'nonce'
    where s.amount_micros <> cast(v.value ->> 'amount_micros' as bigint)
      or s.pay_to <> v.value ->> 'pay_to'
      or s.tenant_id <> v.value ->> 'tenant_id'
      or s.api_id <> v.value ->> 'api_id'
  )
