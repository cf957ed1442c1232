-- params: text
-- Where the live ones of the input's jobs stand; primary key.
select j.id as placed, j.state
from jobs j
where j.id = any(array(select json_array_elements_text(cast($1 as json))))
