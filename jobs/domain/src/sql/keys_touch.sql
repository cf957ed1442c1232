-- params: text
-- When keys were last used, about; never backwards; primary key.
update api_keys
set last_used_at = cast(v.value ->> 'at' as bigint)
from json_each($1) as v
where api_keys.id = v.value ->> 'id'
  and api_keys.last_used_at < cast(v.value ->> 'at' as bigint)
