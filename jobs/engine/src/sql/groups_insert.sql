-- params: text, text, int
-- Makes groups, stamped by this operation; primary key.
insert into groups (id, tenant, job, children, pending, sealed, op, at)
select v.value ->> 'id', v.value ->> 'tenant', v.value ->> 'job', cast(v.value ->> 'children' as bigint),
  cast(v.value ->> 'children' as bigint), cast(v.value ->> 'sealed' as bigint), $2, $3
from json_each($1) as v
