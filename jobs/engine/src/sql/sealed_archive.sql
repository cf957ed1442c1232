-- params: text, int, int
-- Rows of ended jobs behind id $1 whose args are sealed, with $2 letters of them, in order; index archive_sealed.
select id, kind, tenant, rev, substr(args, 1, cast($2 as integer)) as args
from archive
where substr(args, 1, 7) = '{"enc":' and id > $1
order by id
limit $3
