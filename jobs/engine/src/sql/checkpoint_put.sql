-- params: text, text, text, text, int, int
-- Keeps how far a job has come, in place of what was kept before; primary key.
insert into checkpoints (job, tenant, data, lease, seq, at)
values ($1, $2, $3, $4, $5, $6)
on conflict (job) do update set data = excluded.data, lease = excluded.lease, seq = excluded.seq, at = excluded.at
