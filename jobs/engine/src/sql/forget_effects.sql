-- params: text
-- Forgets settled effects of the input's jobs that are gone; index effects_job.
delete from effects
where job in (select v.value ->> 'id' from json_each($1) as v) and state in ('confirmed', 'rejected', 'absent')
  and not exists (select 1 from archive a where a.id = effects.job) and not exists (select 1 from jobs j where j.id = effects.job)
