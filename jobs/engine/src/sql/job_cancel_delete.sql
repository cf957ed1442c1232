-- params: text, text
-- Deletes what was just archived by this operation; primary key.
delete from jobs where id = $1 and op = $2 and state in ('held', 'blocked') returning id
