-- params: text
-- How many of a group's children there are, live, completed and dead; primary key.
select children, pending, completed, dead, sealed from groups where id = $1
