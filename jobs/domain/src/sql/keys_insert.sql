-- params: text
-- Stores new keys; only a keyed hash of what the holder has; primary key and api_keys_kid.
insert into api_keys (id, kid, user_id, key_hash, last4, scopes, tenant_id, require_signature, signing_secret, created_by, expires_at,
  replaces, created_at)
select v.value ->> 'id', v.value ->> 'kid', v.value ->> 'user_id', v.value ->> 'key_hash', v.value ->> 'last4', v.value ->> 'scopes',
  v.value ->> 'tenant_id', cast(v.value ->> 'require_signature' as bigint), v.value ->> 'signing_secret', v.value ->> 'created_by',
  cast(v.value ->> 'expires_at' as bigint), v.value ->> 'replaces', cast(v.value ->> 'created_at' as bigint)
from json_each($1) as v
order by v.value ->> 'id'
