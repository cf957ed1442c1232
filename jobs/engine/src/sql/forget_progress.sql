-- params: text
-- Forgets what was said of the progress of the input's jobs that are gone; primary keys.
delete from job_progress
where job in (select v.value ->> 'id' from json_each($1) as v)
  and not exists (select 1 from archive a where a.id = job_progress.job) and not exists (select 1 from jobs j where j.id = job_progress.job)
