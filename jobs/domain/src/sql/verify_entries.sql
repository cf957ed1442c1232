-- params: text
-- Entries from an id on, with the number and sum of their legs and how many of those belong to another tenant; primary keys.
select e.id, e.type, e.amount_micros,
  (select count(*) from legs l where l.entry_id = e.id) as legs,
  (select cast(coalesce(sum(l.amount_micros), 0) as bigint) from legs l where l.entry_id = e.id) as leg_sum,
  (select count(*) from legs l where l.entry_id = e.id and l.tenant_id <> e.tenant_id) as foreign_legs
from entries e
where e.id > $1
order by e.id
limit 500
