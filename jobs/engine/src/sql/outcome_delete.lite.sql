-- params: text, text
-- Deletes what was just archived by this operation; primary key, driven from the input.
delete from jobs
where id in (select v.value ->> 'id' from json_each($1) v) and op = $2 and state = 'held'
returning id as moved
