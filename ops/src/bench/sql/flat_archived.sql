-- params: int, int, int
-- Makes so many ended jobs of the benchmark, made and ended from $2 on, $3 microseconds apart; no index is read.
insert into archive (id, kind, version, queue, state, tenant, args, tags, priority, run_at, deadline, attempt, max_attempts, crashes, lease, op, rev,
  key, trace, errors, reason, created_at, started_at, finished_at, class)
select 'job_' || substr(lpad(to_hex(t.at / 1000), 12, '0'), 1, 8) || '-' || substr(lpad(to_hex(t.at / 1000), 12, '0'), 9, 4)
    || '-7' || substr(cast(gen_random_uuid() as text), 16),
  'bench_noop', 1, 'bench_' || chr(cast(97 + t.n % 4 as int)), 'completed', '', '{"pad":"' || lpad(cast(t.n as text), 86, '0') || '"}',
  '[]', 4, t.at, 0, 1, 20, 0, '0123456789abcdef0123456789abcdef', '0123456789abcdef0123456789abcdef', 2, '', '', '[]', '', t.at, t.at, t.at, 'short'
from (select n, $2 + n * $3 as at from generate_series(cast(1 as bigint), $1) as n) t
