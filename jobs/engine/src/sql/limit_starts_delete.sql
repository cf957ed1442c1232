-- params: text
-- Forgets what was started under a limit that is gone; primary key.
delete from limit_starts where limit_id = $1
