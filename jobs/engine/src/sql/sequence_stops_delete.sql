-- params: text, text
-- A dead job of the scope stops its sequence no longer; primary key.
delete from sequence_stops where ($1 = '*' or tenant = $1) and job = $2
returning job as unstopped
