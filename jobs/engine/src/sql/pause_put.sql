-- params: text, text, text, text, text, int, int
-- Pauses something, or says anew of what is paused who paused it, why and until when; unique key pauses_what_value.
insert into pauses (id, what, value, who, why, until, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (what, value) do update set who = excluded.who, why = excluded.why, until = excluded.until
returning id, what, value, who, why, until, created_at
