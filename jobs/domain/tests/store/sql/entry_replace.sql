-- params: none
-- What slips past a delete trigger.
replace into entries (id, key, tenant_id, type, amount_micros, metadata, created_at)
select e.id, e.key, e.tenant_id, e.type, e.amount_micros + 1, e.metadata, e.created_at from entries e
