-- params: text
-- Forgets what a limit that is gone had spent; primary key.
delete from limit_uses where limit_id = $1
