-- params: bytes, bytes, int, int
-- Takes an idempotency key for a request's digest, also one whose time is over; primary key.
insert into register (key, digest, job_id, expires_at)
values ($1, $2, '', $3)
on conflict (key) do update
set digest = excluded.digest, job_id = '', expires_at = excluded.expires_at
where register.expires_at > 0 and register.expires_at <= $4
returning job_id
