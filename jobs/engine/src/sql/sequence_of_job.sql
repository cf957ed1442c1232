-- params: text, text
-- The sequence of a job of the scope, live or archived; it never changes; primary keys.
select tenant, sequence from jobs where ($1 = '*' or tenant = $1) and id = $2 and sequence <> ''
union all
select tenant, sequence from archive where ($1 = '*' or tenant = $1) and id = $2 and sequence <> ''
limit 1
