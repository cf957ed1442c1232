-- params: text, int
-- The chain in order from a place on, each seal with its entry if that exists; primary keys.
select s.stream, s.seq, s.entry_id, s.prev, s.hash, coalesce(l.id, '') as id, coalesce(l.stream, '') as entry_stream,
  coalesce(l.user_id, '') as user_id, coalesce(l.tenant_id, '') as tenant_id, coalesce(l.action, '') as action,
  coalesce(l.object, '') as object, coalesce(l.metadata, '') as metadata, coalesce(l.created_at, 0) as created_at
from audit_seals s
left join audit_log l on l.id = s.entry_id
where s.stream > $1 or (s.stream = $1 and s.seq > $2)
order by s.stream, s.seq
limit 1000
