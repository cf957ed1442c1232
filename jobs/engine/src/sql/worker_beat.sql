-- params: text, int
-- One more beat of a worker that nobody has declared dead; primary key.
update workers set beat = beat + 1, seen_at = $2 where id = $1 and state = 'live' returning beat
