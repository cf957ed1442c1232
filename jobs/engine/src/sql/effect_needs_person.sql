-- params: text, int, text
-- Hands an unknown effect to a person; primary key.
update effects set state = 'needs_person', op = $3, rev = rev + 1 where id = $1 and rev = $2 and state = 'unknown'
