-- params: int
-- The limits in force at $1, or going back to another; unique key limits_name.
select id, what, value, per, measure, cap, every_us, windowed, until, then_cap, then_every_us, then_windowed, who, why, created_at
from limits
where until = 0 or until > $1 or then_cap > 0
order by what, value, per, measure
limit 1000
