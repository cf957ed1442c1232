-- params: text
-- Ends keys at once; the first revocation stands; primary key.
update api_keys
set revoked_at = cast(v.value ->> 'at' as bigint)
from json_each($1) as v
where api_keys.id = v.value ->> 'id'
  and api_keys.revoked_at = 0
