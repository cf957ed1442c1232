-- params: text
-- The settlements of the given ids, with the slugs of their tenants and APIs; primary keys, driven from the input.
select s.id, s.network, s.asset, s.payer, s.nonce, s.tenant_id, t.slug as tenant, s.api_id, coalesce(a.slug, '') as api, s.amount_micros, s.pay_to,
  s.state, s.outcome, s.prev_outcome, s.tx, s.prev_tx, s.error_reason, s.resource_type, s.caller_hash, s.request_id, s.reservation_id,
  s.x402_version, s.scheme, s.valid_after, s.valid_before, s.identity_verified, s.occurred_at, s.received_at, s.day, s.event_id, s.job_id,
  s.entry_id, s.rev
from json_each($1) as v
join settlements s on s.id = v.value ->> 'id'
join tenants t on t.id = s.tenant_id
left join apis a on a.id = s.api_id
