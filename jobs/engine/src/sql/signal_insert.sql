-- params: text, text, text, text, text, text, int, text
-- Keeps a signal whose id is new; primary key.
insert into signals (tenant, id, name, key, payload, sender, at, made_by)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (tenant, id) do nothing
