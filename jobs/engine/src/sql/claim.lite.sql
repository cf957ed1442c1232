-- params: text, text, int, int, int, int, text, text
-- Claims due jobs of a queue in order of rank; one writer, nobody to skip; index jobs_claim.
update jobs
set state = 'running', lease = $7, worker = $8, attempt = attempt + 1, started_at = $3, rev = rev + 1, reason = ''
where id in (
  select j.id
  from jobs j
  where {{claimable}}
    and j.rank >= $4 and j.rank <= $5
  order by j.rank, j.id
  limit $6)
returning id, kind, version, queue, tenant, args, attempt, max_attempts, crashes, reruns, priority, run_at, deadline, lease, errors, trace, rank,
  coalesce((select 1 from group_members m where m.job = jobs.id), 0) as grouped, sequence
