-- params: int
-- Limits whose end has come are what they were before; few rows.
update limits set cap = then_cap, every_us = then_every_us, windowed = then_windowed, until = 0, then_cap = 0, then_every_us = 0, then_windowed = 0
where until > 0 and until <= $1 and then_cap > 0
