-- params: text
-- Ends a limit; primary key.
delete from limits where id = $1
returning id, what, value, per, measure, cap, every_us, windowed, until, then_cap, then_every_us, then_windowed, who, why, created_at
