-- params: int
-- Forgets starts that no window can hold any more; index limit_starts_at.
delete from limit_starts where at < $1
