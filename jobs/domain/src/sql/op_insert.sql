-- params: text, int
-- The door of an operation: this id can be taken once; primary key.
insert into ops (id, at)
values ($1, $2)
