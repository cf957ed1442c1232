-- params: text, text
-- One job of the scope, live or archived, in one statement; primary keys.
select id, kind, version, queue, state, tenant, args, tags, priority, run_at, deadline, attempt, max_attempts, crashes, rev, key, worker, trace, errors, reason, '' as result, limit_key, units, created_at, started_at, 0 as finished_at, sequence
from jobs
where ($1 = '*' or tenant = $1) and id = $2
union all
select id, kind, version, queue, state, tenant, args, tags, priority, run_at, deadline, attempt, max_attempts, crashes, rev, key, '' as worker, trace, errors, reason, result, limit_key, units, created_at, started_at, finished_at, sequence
from archive
where ($1 = '*' or tenant = $1) and id = $2
limit 1
