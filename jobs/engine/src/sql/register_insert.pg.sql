-- params: text
-- Takes identities, input sorted by key; who comes second changes nothing; primary key.
insert into register (key, digest, job_id, expires_at)
select decode(v.key, 'hex'), decode(v.digest, 'hex'), v.job_id, v.expires_at
from json_to_recordset(cast($1 as json)) as v(key text, digest text, job_id text, expires_at bigint)
on conflict (key) do nothing
