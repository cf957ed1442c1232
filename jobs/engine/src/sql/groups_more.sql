-- params: text
-- Adds children to groups, and seals those that get no more; primary key.
update groups
set children = groups.children + n.children, pending = groups.pending + n.children, sealed = n.sealed
from (
  select v.value ->> 'id' as id, cast(v.value ->> 'children' as bigint) as children, cast(v.value ->> 'sealed' as bigint) as sealed
  from json_each($1) as v) n
where groups.id = n.id
