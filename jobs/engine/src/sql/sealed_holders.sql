-- params: text
-- Which waiting job each sealed one would replace, or none; index jobs_unique_key.
select v.value ->> 'id' as id,
  coalesce((
    select j.id from jobs j
    where j.unique_key = v.value ->> 'unique_key' and j.unique_key <> ''
      and j.state in ('scheduled', 'available', 'retryable', 'blocked') and j.open_effects = 0), '') as holder
from json_each($1) as v
