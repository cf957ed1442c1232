-- params: text, text
-- An audit entry for every outcome this operation changed; settlements_network_asset_payer_nonce.
insert into audit_log (id, stream, user_id, tenant_id, action, object, metadata, created_at)
select v.value ->> 'audit_id', v.value ->> 'stream', v.value ->> 'user_id', s.tenant_id, 'settlement.outcome_updated', s.id,
  v.value ->> 'metadata', cast(v.value ->> 'received_at' as bigint)
from json_each($1) as v
join settlements s on s.network = v.value ->> 'network' and s.asset = v.value ->> 'asset'
  and s.payer = v.value ->> 'payer' and s.nonce = v.value ->> 'nonce'
where s.update_op = $2
order by v.value ->> 'audit_id'
