-- params: text
-- Where the live ones of the input's jobs stand; primary key, driven from the input.
select j.id as placed, j.state
from json_each($1) v
cross join jobs j on j.id = v.value
