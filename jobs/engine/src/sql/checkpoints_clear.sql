-- params: text
-- Forgets how far jobs came that end with this commit; primary key.
delete from checkpoints where job in (select v.value ->> 'job' from json_each($1) as v)
