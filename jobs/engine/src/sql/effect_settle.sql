-- params: text, int, text, text, text, int
-- Settles an open effect nobody has moved since it was read at this rev; primary key.
update effects
set state = $3, evidence = $4, op = $5, settled_at = $6, rev = rev + 1
where id = $1 and rev = $2 and state in ('intended', 'unknown', 'needs_person')
