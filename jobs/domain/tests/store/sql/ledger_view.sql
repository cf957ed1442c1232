-- params: none
-- The ledger as auditors read it.
select count(*) as n, cast(sum(l.amount) as bigint) as amount, min(l.id) as id, min(l.tenant_id) as tenant_id, min(l.type) as type,
  min(l.metadata) as metadata, min(l.idempotency_key) as idempotency_key, min(l.created_at) as created_at
from ledger l
