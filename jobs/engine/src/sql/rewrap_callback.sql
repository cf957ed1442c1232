-- params: text, int, text
-- Gives a job that a group makes later its args under another key, which it or its group never changes; primary key.
update group_callbacks set args = $3 where id = $1 and $2 = 0 returning id
