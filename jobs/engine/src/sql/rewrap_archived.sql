-- params: text, int, text
-- Gives an ended job its args under another key, if it has not moved since it was read; primary key.
update archive set args = $3 where id = $1 and rev = $2 returning id
