-- params: text
-- Refuses the commit as stale if a settlement was not taken by the statement before; primary key.
insert into app_guard (stale)
select 1
from json_each($1) as v
where not exists (
  select 1
  from settlements s
  where s.id = v.value ->> 'settlement_id'
    and s.entry_id = v.value ->> 'entry_id'
)
