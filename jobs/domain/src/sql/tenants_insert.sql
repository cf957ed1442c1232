-- params: text
-- Makes tenants; a slug taken already is refused by tenants_slug.
insert into tenants (id, slug, name, owner_id, config, digest, created_at, updated_at)
select v.value ->> 'id', v.value ->> 'slug', v.value ->> 'name', v.value ->> 'owner_id', v.value ->> 'config', v.value ->> 'digest',
  cast(v.value ->> 'created_at' as bigint), cast(v.value ->> 'created_at' as bigint)
from json_each($1) as v
order by v.value ->> 'slug'
