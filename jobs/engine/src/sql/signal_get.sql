-- params: text, text
-- One signal of a tenant; primary key.
select tenant, id, name, key, payload, sender, at, made_by, taken_by
from signals
where tenant = $1 and id = $2
