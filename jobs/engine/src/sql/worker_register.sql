-- params: text, text, text, int, text, text, text, text, int
-- Announces a worker process; primary key.
insert into workers (id, name, host, pid, pid_start, version, queues, runnable, state, beat, started_at, seen_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, 'live', 1, $9, $9)
