-- params: text, text
-- One tenant by slug, within a scope; tenants_slug.
select t.id, t.slug, t.name, t.owner_id, t.config, t.digest, t.created_at, t.updated_at
from tenants t
where ($1 = '*' or t.id = $1)
  and t.slug = $2
