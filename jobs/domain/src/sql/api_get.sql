-- params: text, text, text
-- One API by its tenant's slug and its own, within a scope; tenants_slug and apis_tenant_id_slug.
select a.id, a.tenant_id, t.slug as tenant, a.slug, a.resource_type, a.price_micros, a.quota, a.digest, a.created_at, a.updated_at
from tenants t
join apis a on a.tenant_id = t.id
where ($1 = '*' or a.tenant_id = $1)
  and t.slug = $2
  and a.slug = $3
