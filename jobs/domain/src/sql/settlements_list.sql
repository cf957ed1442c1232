-- params: text, text, text, text, int
-- One page of settlements of a scope, newest first, by state and tenant if given; primary key read backwards.
select s.id, s.network, s.asset, s.payer, s.nonce, s.tenant_id, t.slug as tenant, s.api_id, coalesce(a.slug, '') as api, s.amount_micros, s.pay_to,
  s.state, s.outcome, s.prev_outcome, s.tx, s.prev_tx, s.error_reason, s.resource_type, s.caller_hash, s.request_id, s.reservation_id,
  s.x402_version, s.scheme, s.valid_after, s.valid_before, s.identity_verified, s.occurred_at, s.received_at, s.day, s.event_id, s.job_id,
  s.entry_id, s.rev
from settlements s
join tenants t on t.id = s.tenant_id
left join apis a on a.id = s.api_id
where ($1 = '*' or s.tenant_id = $1)
  and ($2 = '' or s.state = $2)
  and ($3 = '' or t.slug = $3)
  and ($4 = '' or s.id < $4)
order by s.id desc
limit $5
