-- params: text
-- Lets keys that are being replaced end at a time, unless they end before; primary key.
update api_keys
set expires_at = cast(v.value ->> 'at' as bigint)
from json_each($1) as v
where api_keys.id = v.value ->> 'id'
  and api_keys.revoked_at = 0
  and (api_keys.expires_at = 0 or api_keys.expires_at > cast(v.value ->> 'at' as bigint))
