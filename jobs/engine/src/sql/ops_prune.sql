-- params: int
-- Forgets old operation ids; index ops_at.
delete from ops where at < $1
