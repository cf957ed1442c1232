-- params: text, text, int
-- What may be claimed at $3 of jobs `j`, by a claim of queue $1 that runs `kind:version` among $2; index jobs_claim. Pauses are
-- few and read whole: `what || …` keeps their index out of the plan, which then is the same whatever the statistics say.
j.queue = (select $1 where not exists (
    select 1 from pauses p where p.what || p.value = 'queue' || $1 and (p.until = 0 or p.until > $3)))
    and j.state in ('scheduled', 'available', 'retryable')
    and j.run_at <= $3
    and j.kind || ':' || cast(j.version as text) = any(array(select json_array_elements_text(cast($2 as json))))
    and (not exists (select 1 from pauses p where p.what <> 'queue' and (p.until = 0 or p.until > $3))
      or j.kind <> all(array(select p.value from pauses p where p.what || '' = 'kind' and (p.until = 0 or p.until > $3)))
        and j.tenant <> all(array(select p.value from pauses p where p.what || '' = 'tenant' and (p.until = 0 or p.until > $3)))
        and (not exists (select 1 from pauses p where p.what || '' = 'tag' and (p.until = 0 or p.until > $3))
          or not exists (
            select 1 from pauses p
            where p.what || '' = 'tag' and (p.until = 0 or p.until > $3)
              and (strpos(j.tags, '["' || p.value || '"') > 0 or strpos(j.tags, ',"' || p.value || '"') > 0))))
