-- params: text, text, int
-- What may be claimed now, of jobs `j` of queue $1 with `kind:version` among $2 at $3; included as {{claimable}}, index jobs_claim.
j.queue = (select $1 where not exists (
    select 1 from pauses p where case p.what when 'queue' then p.value = $1 end and (p.until = 0 or p.until > $3)))
    and j.state in ('scheduled', 'available', 'retryable')
    and j.run_at <= $3
    and j.kind || ':' || cast(j.version as text) = any(array(select json_array_elements_text(cast($2 as json))))
    and (not exists (select 1 from pauses p where p.what <> 'queue' and (p.until = 0 or p.until > $3))
      or not exists (
        select 1 from pauses p
        where (p.until = 0 or p.until > $3)
          and case p.what
            when 'kind' then p.value = j.kind
            when 'tenant' then p.value = j.tenant
            when 'tag' then strpos(j.tags, '["' || p.value || '"') > 0 or strpos(j.tags, ',"' || p.value || '"') > 0
          end))
