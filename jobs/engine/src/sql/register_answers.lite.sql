-- params: text
-- Who holds each key, with the digest of its content; primary key.
select r.key, r.digest, r.job_id
from json_each($1) as v
cross join register r on r.key = v.value
