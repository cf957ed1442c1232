-- params: text
-- Which jobs seem to run under the given leases still, as a hint only; primary key, driven from the input.
select j.id
from json_each($1) v
cross join jobs j on j.id = v.value ->> 'id'
where j.state = 'running' and j.lease = v.value ->> 'lease'
