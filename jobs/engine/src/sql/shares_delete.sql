-- params: text
-- Tenants do not share queue $1 any more; primary key.
delete from shares where queue = $1
returning tenant
