-- params: text, text
-- Forgets the lines of an ended job of the scope; primary keys.
delete from job_logs where ($1 = '*' or tenant = $1) and job = $2 and exists (select 1 from archive a where a.id = $2)
