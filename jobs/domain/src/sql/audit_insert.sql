-- params: text
-- Appends audit entries from a JSON array; their ids are made by the caller, so a repeat is refused by the primary key.
insert into audit_log (id, stream, user_id, tenant_id, action, object, metadata, created_at)
select v.value ->> 'id', v.value ->> 'stream', v.value ->> 'user_id', v.value ->> 'tenant_id', v.value ->> 'action',
  v.value ->> 'object', v.value ->> 'metadata', cast(v.value ->> 'created_at' as bigint)
from json_each($1) as v
order by v.value ->> 'id'
