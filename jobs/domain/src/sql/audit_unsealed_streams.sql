-- params: none
-- The streams that have entries outside the chain; index audit_unsealed_stream.
select distinct u.stream
from audit_unsealed u
order by u.stream
limit 1000
