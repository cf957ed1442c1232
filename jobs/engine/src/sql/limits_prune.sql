-- params: int
-- Forgets limits that are over and go back to none; few rows.
delete from limits where until > 0 and until <= $1 and then_cap = 0
