-- params: text
-- Makes APIs; a slug its tenant uses already is refused by apis_tenant_id_slug.
insert into apis (id, tenant_id, slug, resource_type, price_micros, quota, digest, created_at, updated_at)
select v.value ->> 'id', v.value ->> 'tenant_id', v.value ->> 'slug', v.value ->> 'resource_type',
  cast(v.value ->> 'price_micros' as bigint), cast(v.value ->> 'quota' as bigint), v.value ->> 'digest',
  cast(v.value ->> 'created_at' as bigint), cast(v.value ->> 'created_at' as bigint)
from json_each($1) as v
order by v.value ->> 'tenant_id', v.value ->> 'slug'
