-- params: int
-- Forgets old groups that are over; index groups_at.
delete from groups where at < $1 and sealed = 1 and pending = 0
