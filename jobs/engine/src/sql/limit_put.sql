-- params: text, text, text, text, text, int, int, int, text, text, int, int
-- Makes a limit, or says anew what is limited already; one with an end keeps what it goes back to; unique key limits_name.
insert into limits (id, what, value, per, measure, cap, every_us, until, who, why, created_at, windowed)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict (what, value, per, measure) do update set
  then_cap = case when excluded.until = 0 then 0 when limits.until = 0 then limits.cap else limits.then_cap end,
  then_every_us = case when excluded.until = 0 then 0 when limits.until = 0 then limits.every_us else limits.then_every_us end,
  then_windowed = case when excluded.until = 0 then 0 when limits.until = 0 then limits.windowed else limits.then_windowed end,
  cap = excluded.cap, every_us = excluded.every_us, windowed = excluded.windowed, until = excluded.until, who = excluded.who, why = excluded.why
returning id, what, value, per, measure, cap, every_us, windowed, until, then_cap, then_every_us, then_windowed, who, why, created_at
