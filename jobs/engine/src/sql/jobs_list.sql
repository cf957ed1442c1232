-- params: text, text, text, text, text, text, text, int, text, int
-- Jobs of the scope, live and archived, newest first below a cursor; primary keys.
select *
from (
  select * from (
    select id, kind, version, queue, state, tenant, args, tags, priority, run_at, deadline, attempt, max_attempts, crashes, rev, key, worker, trace, errors, reason, '' as result, limit_key, units, created_at, started_at, 0 as finished_at, sequence
    from jobs
    where ($1 = '*' or tenant = $1) and id < $9 and ($2 = '' or state = $2) and ($3 = '' or kind = $3) and ($4 = '' or queue = $4)
    and ($5 = '' or key = $5) and ($6 = '' or tags like '%"' || $6 || '"%') and ($7 = '' or tenant = $7) and created_at >= $8
    order by id desc
    limit $10) live
  union all
  select * from (
    select id, kind, version, queue, state, tenant, args, tags, priority, run_at, deadline, attempt, max_attempts, crashes, rev, key, '' as worker, trace, errors, reason, result, limit_key, units, created_at, started_at, finished_at, sequence
    from archive
    where ($1 = '*' or tenant = $1) and id < $9 and ($2 = '' or state = $2) and ($3 = '' or kind = $3) and ($4 = '' or queue = $4)
    and ($5 = '' or key = $5) and ($6 = '' or tags like '%"' || $6 || '"%') and ($7 = '' or tenant = $7) and created_at >= $8
    order by id desc
    limit $10) ended) both_tables
order by id desc
limit $10
