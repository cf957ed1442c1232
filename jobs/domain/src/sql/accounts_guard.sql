-- params: text
-- Refuses the commit if a leg names an account that was never opened: its amount would vanish; primary key.
insert into app_guard (account_missing)
select 1
from json_each($1) as v
where not exists (select 1 from accounts a where a.id = v.value ->> 'debit')
  or not exists (select 1 from accounts a where a.id = v.value ->> 'credit')
