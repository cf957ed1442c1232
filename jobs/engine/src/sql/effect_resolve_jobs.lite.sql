-- params: text, int, int
-- A job that resolves each effect this commit made unknown; its id is the effect's with the rev at its end; effects_open.
insert into jobs (id, kind, version, queue, state, tenant, args, priority, run_at, rank, max_attempts, created_at)
select 'job_' || substr(e.id, 5, 32) || printf('%04x', e.rev % 65536), 'effect_resolve', 1, 'effects', 'available', '',
  '{"effect_id":"' || e.id || '"}', 0, $2, $2, $3, $2
from effects e
where e.state in ('intended', 'unknown', 'needs_person') and e.state = 'unknown' and e.op = $1
on conflict (id) do nothing
