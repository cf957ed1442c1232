-- params: text, text, int
-- One page of a scope's entries, newest first, with the slug of their tenant; primary key read backwards.
select e.id, e.key, e.tenant_id, coalesce(t.slug, '') as tenant, e.type, e.amount_micros, e.metadata, e.created_at
from entries e
left join tenants t on t.id = e.tenant_id
where ($1 = '*' or e.tenant_id = $1)
  and ($2 = '' or e.id < $2)
order by e.id desc
limit $3
