-- params: text
-- Marks audit entries as not yet in the chain; committed together with the entries themselves.
insert into audit_unsealed (id, stream)
select v.value ->> 'id', v.value ->> 'stream'
from json_each($1) as v
order by v.value ->> 'id'
