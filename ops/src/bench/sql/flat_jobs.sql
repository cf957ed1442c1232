-- params: int, int, int
-- Makes so many jobs of the benchmark in its four queues, due and made from $2 on, $3 microseconds apart; no index is read.
insert into jobs (id, kind, version, queue, state, args, priority, run_at, rank, max_attempts, created_at)
select 'job_' || substr(lpad(to_hex(t.at / 1000), 12, '0'), 1, 8) || '-' || substr(lpad(to_hex(t.at / 1000), 12, '0'), 9, 4)
    || '-7' || substr(cast(gen_random_uuid() as text), 16),
  'bench_noop', 1, 'bench_' || chr(cast(97 + t.n % 4 as int)), 'available', '{"pad":"' || lpad(cast(t.n as text), 86, '0') || '"}',
  4, t.at, t.at + 4 * 60000000, 20, t.at
from (select n, $2 + n * $3 as at from generate_series(cast(1 as bigint), $1) as n) t
