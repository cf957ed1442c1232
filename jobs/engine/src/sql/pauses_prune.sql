-- params: int
-- Forgets pauses that are over; reads the small table.
delete from pauses where until > 0 and until <= $1
