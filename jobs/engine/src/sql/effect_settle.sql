-- params: text, int, text, text, text, int, int
-- Settles an open effect nobody has moved since it was read at this rev; the word of the one who called its last try ($7) also
-- one that became doubtful meanwhile; primary key.
update effects
set state = $3, evidence = $4, op = $5, settled_at = $6, rev = rev + 1
where id = $1 and state in ('intended', 'unknown', 'needs_person')
  and (rev = $2 or (state <> 'intended' and tries = $7))
