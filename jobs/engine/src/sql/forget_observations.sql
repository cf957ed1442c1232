-- params: text
-- Forgets the observations of settled effects of the input's jobs that are gone; indexes effects_job, effect_observations_effect.
delete from effect_observations
where effect in (
  select e.id
  from effects e
  where e.job in (select v.value ->> 'id' from json_each($1) as v) and e.state in ('confirmed', 'rejected', 'absent')
    and not exists (select 1 from archive a where a.id = e.job) and not exists (select 1 from jobs j where j.id = e.job))
