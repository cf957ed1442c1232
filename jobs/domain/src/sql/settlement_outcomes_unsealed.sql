-- params: text
-- Marks the audit entries the statement before has written; primary key.
insert into audit_unsealed (id, stream)
select a.id, a.stream
from json_each($1) as v
join audit_log a on a.id = v.value ->> 'audit_id'
order by a.id
