-- params: text, text, text, text, text
-- The messages about one payment within a scope, oldest first; settlement_events_nonce.
select e.id, e.outcome, e.tx, e.body, e.received_at
from settlement_events e
where ($1 = '*' or e.tenant_id = $1)
  and e.nonce = $2
  and e.network = $3
  and e.asset = $4
  and e.payer = $5
order by e.received_at, e.id
limit 200
