-- params: text, text, text, text, int
-- One page of the audit trail of a scope, newest first, by action and object if given; primary key read backwards.
select l.id, l.stream, l.user_id, l.tenant_id, l.action, l.object, l.metadata, l.created_at
from audit_log l
where ($1 = '*' or l.tenant_id = $1)
  and ($2 = '' or l.action = $2)
  and ($3 = '' or l.object = $3)
  and ($4 = '' or l.id < $4)
order by l.id desc
limit $5
