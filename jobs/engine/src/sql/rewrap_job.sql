-- params: text, int, text
-- Gives a job its args under another key, if it has not moved since it was read; `rev` stays, it means the same; primary key.
update jobs set args = $3 where id = $1 and rev = $2 returning id
