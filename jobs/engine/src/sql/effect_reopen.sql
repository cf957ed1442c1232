-- params: text, text, text, text, int, int
-- Intends again what is known not to have happened; effects_key.
update effects
set state = 'intended', job = $2, lease = $3, op = $4, start_by = $5, open_since = $6, settled_at = 0, tries = tries + 1, rev = rev + 1
where key = $1 and state = 'absent' and op <> $4
