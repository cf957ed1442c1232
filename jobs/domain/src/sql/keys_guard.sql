-- params: text
-- Refuses the commit as stale if a key to be replaced was revoked meanwhile; primary key.
insert into app_guard (stale)
select 1
from json_each($1) as v
where exists (select 1 from api_keys k where k.id = v.value ->> 'id' and k.revoked_at <> 0)
