-- params: text, int
-- The door of a commit: the same operation id cannot be inserted twice; primary key.
insert into ops (id, at) values ($1, $2)
