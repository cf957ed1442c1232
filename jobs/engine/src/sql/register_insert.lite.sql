-- params: text
-- Takes identities, input sorted by key; who comes second changes nothing; primary key.
insert into register (key, digest, job_id, expires_at)
select v.value ->> 'key', v.value ->> 'digest', v.value ->> 'job_id', v.value ->> 'expires_at'
from json_each($1) as v
where true
on conflict (key) do nothing
