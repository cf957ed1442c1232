-- params: int
-- Forgets old signals, those a live job has taken excepted; index signals_at and the primary key of jobs.
delete from signals
where at < $1 and (taken_by = '' or not exists (select 1 from jobs j where j.id = signals.taken_by))
