-- params: text
-- Guard sealed_elsewhere: none of these sealed args has come to stand in a job it was not sealed for; index jobs_unique_key.
insert into engine_guard (sealed_elsewhere)
select 1
from json_each($1) as v
where (
    select j.id from jobs j
    where j.unique_key = v.value ->> 'unique_key' and j.unique_key <> '' and j.args = v.value ->> 'args') <> v.value ->> 'whose'
limit 1
