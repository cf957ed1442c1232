-- params: text, text
-- Takes the archive row of a job that is live again; primary keys.
delete from archive
where ($1 = '*' or tenant = $1) and id = $2 and exists (select 1 from jobs j where j.id = $2)
