-- params: int
-- Forgets old checkpoints of jobs that are not live any more; index checkpoints_at and the primary key of jobs.
delete from checkpoints
where at < $1 and not exists (select 1 from jobs j where j.id = checkpoints.job)
