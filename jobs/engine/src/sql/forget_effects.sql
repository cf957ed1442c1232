-- params: text
-- Forgets effects of the input's jobs that are gone and did not happen; index effects_job. That one happened is known for as long as
-- its key is taken: for ever.
delete from effects
where job in (select v.value ->> 'id' from json_each($1) as v) and state in ('rejected', 'absent')
  and not exists (select 1 from archive a where a.id = effects.job) and not exists (select 1 from jobs j where j.id = effects.job)
