-- params: text, text, int, int, int, int, text, text, int
-- Claims due jobs of a queue in order of rank as far as limits go, skipping rows others are claiming; index jobs_claim.
-- Jobs under a limit that is used up are passed over; of the first $9 others each limit lets the first ones through.
with at as (select cast($3 as bigint) as now),
{{limits}},
due as materialized (
  select j.id, j.queue, j.kind, j.tenant, j.limit_key, j.units, j.rank, '' as turn
  from jobs j
  where {{claimable}}
    and j.rank >= $4 and j.rank <= $5
    and {{room}}
  order by j.rank, j.id
  limit $9
  for update of j skip locked),
{{placed}}
update jobs
set state = 'running', lease = $7, worker = $8, attempt = attempt + 1, started_at = $3, rev = rev + 1, reason = ''
where id = any(array(
  select d.id
  from due d
  where d.id not in (select p.id from placed p where p.upto > p.free)
  order by d.turn, d.rank, d.id
  limit $6))
returning id, kind, version, queue, tenant, args, attempt, max_attempts, crashes, reruns, priority, run_at, deadline, lease, errors, trace, rank,
  coalesce((select 1 from group_members m where m.job = jobs.id), 0) as grouped, sequence
