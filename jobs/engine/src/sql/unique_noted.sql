-- params: text
-- What an enqueue noted; primary key.
select answer
from ops
where id = $1
