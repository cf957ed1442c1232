-- params: text
-- Who holds each key, with the digest of its content; primary key.
select encode(r.key, 'hex') as key, encode(r.digest, 'hex') as digest, r.job_id
from register r
where r.key = any(array(select decode(v, 'hex') from json_array_elements_text(cast($1 as json)) as v))
