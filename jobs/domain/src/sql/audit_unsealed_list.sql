-- params: text
-- The entries of a stream that are not in the chain, oldest ids first; index audit_unsealed_stream, then primary key.
select l.id, l.stream, l.user_id, l.tenant_id, l.action, l.object, l.metadata, l.created_at
from audit_unsealed u
join audit_log l on l.id = u.id
where u.stream = $1
order by u.id
limit 1000
