-- params: text, int
-- Forgets starts of a limit that its window cannot hold any more; primary key.
delete from limit_starts where limit_id = $1 and at < $2
