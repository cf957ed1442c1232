-- params: text, text, int
-- One page of a scope's accounts in order of ids, with the slug of their tenant; primary keys.
select a.id, a.tenant_id, coalesce(t.slug, '') as tenant, a.normal, a.debits, a.credits, a.rev
from accounts a
left join tenants t on t.id = a.tenant_id
where ($1 = '*' or a.tenant_id = $1)
  and a.id > $2
order by a.id
limit $3
