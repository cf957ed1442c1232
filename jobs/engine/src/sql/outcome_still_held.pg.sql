-- params: text
-- Which jobs seem to run under the given leases still, as a hint only; primary key, driven from the input.
select k.id
from json_to_recordset(cast($1 as json)) as v(id text, lease text)
cross join lateral (select j.id from jobs j where j.id = v.id and j.state = 'running' and j.lease = v.lease limit 1) k
