-- params: text, int, int
-- Rows of jobs that groups make later behind id $1 whose args are sealed, with $2 letters of them, in order; index group_callbacks_sealed.
select id, kind, tenant, cast(0 as bigint) as rev, substr(args, 1, cast($2 as integer)) as args
from group_callbacks
where substr(args, 1, 7) = '{"enc":' and id > $1
order by id
limit $3
