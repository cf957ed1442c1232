-- params: none
-- Legs whose entry does not exist; a scan of legs with one look at the primary key of entries each.
select l.entry_id, l.seq
from legs l
where not exists (select 1 from entries e where e.id = l.entry_id)
order by l.entry_id, l.seq
limit 100
