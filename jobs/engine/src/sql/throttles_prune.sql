-- params: int
-- Forgets throttles that have been free for long; index throttles_free_at.
delete from throttles where free_at < $1
