-- params: text, text
-- How far a job said it is, within a scope; primary key.
select percent, note, at from job_progress where ($1 = '*' or tenant = $1) and job = $2
