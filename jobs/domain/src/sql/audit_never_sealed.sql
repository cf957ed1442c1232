-- params: int, text
-- Entries older than a time that no seal names, from an id on; a walk of the primary key with one look at audit_seals_entry_id each.
select l.id, l.stream
from audit_log l
where l.created_at < $1
  and l.id > $2
  and not exists (select 1 from audit_seals s where s.entry_id = l.id)
order by l.id
limit 100
