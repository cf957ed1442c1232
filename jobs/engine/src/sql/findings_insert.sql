-- params: text
-- Opens findings; primary key.
insert into findings (id, what, object, tenant, detail, op, created_at)
select v.value ->> 'id', v.value ->> 'what', v.value ->> 'object', v.value ->> 'tenant', v.value ->> 'detail', '',
  cast(v.value ->> 'now' as bigint)
from json_each($1) as v
