-- params: int
-- Forgets slots nobody has locked for long: they are locks and nothing else; index signal_slots_at.
delete from signal_slots where at < $1
