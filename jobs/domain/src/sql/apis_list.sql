-- params: text, text, int
-- One page of a scope's APIs in order of ids; primary keys.
select a.id, a.tenant_id, t.slug as tenant, a.slug, a.resource_type, a.price_micros, a.quota, a.digest, a.created_at, a.updated_at
from apis a
join tenants t on t.id = a.tenant_id
where ($1 = '*' or a.tenant_id = $1)
  and a.id > $2
order by a.id
limit $3
