-- params: text, text
-- Forgets how far an ended job of the scope said it is; primary keys.
delete from job_progress where ($1 = '*' or tenant = $1) and job = $2 and exists (select 1 from archive a where a.id = $2)
