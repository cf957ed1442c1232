-- params: bytes, bytes
-- What an idempotency key was first used for, and whether for the same request; primary key.
select r.job_id as object, cast(case when r.digest = $2 then 1 else 0 end as bigint) as same
from register r
where r.key = $1
limit 1
