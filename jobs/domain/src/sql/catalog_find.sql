-- params: text, text, text
-- A tenant by slug with one of its APIs if it has it, within a scope; tenants_slug and apis_tenant_id_slug.
select t.id as tenant_id, coalesce(a.id, '') as api_id
from tenants t
left join apis a on a.tenant_id = t.id and a.slug = $3
where ($1 = '*' or t.id = $1)
  and t.slug = $2
