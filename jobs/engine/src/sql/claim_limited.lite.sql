-- params: text, text, int, int, int, int, text, text
-- Claims due jobs of a queue in order of rank as far as limits go; one writer, nobody to skip; index jobs_claim.
-- Jobs under a limit that is used up are passed over; of the others each limit lets the first ones through.
with at as (select cast($3 as bigint) as now),
{{limits}},
used_up as materialized (
  select c.what, c.what || c.value as named, c.per, u.tenant
  from used u
  join caps c on c.id = u.id
  where u.n >= c.cap),
due as materialized (
  select j.id, j.queue, j.kind, j.tenant, j.rank
  from jobs j
  where {{claimable}}
    and j.rank >= $4 and j.rank <= $5
    and (
      select count(*)
      from used_up u
      where (u.per = '' or u.tenant = j.tenant)
        and (u.what = 'all' or u.named in ('queue' || j.queue, 'kind' || j.kind, 'tenant' || j.tenant))) = 0
  order by j.rank, j.id
  limit $6),
placed as (
  select d.id, c.cap - coalesce(u.n, 0) as free,
    row_number() over (partition by c.id, case when c.per = '' then '' else d.tenant end order by d.rank, d.id) as place
  from due d
  join caps c on (c.what = 'all' or c.what || c.value in ('queue' || d.queue, 'kind' || d.kind, 'tenant' || d.tenant))
  left join used u on u.id = c.id and u.tenant = case when c.per = '' then '' else d.tenant end)
update jobs
set state = 'running', lease = $7, worker = $8, attempt = attempt + 1, started_at = $3, rev = rev + 1, reason = ''
where id in (
  select d.id from due d where d.id not in (select p.id from placed p where p.place > p.free))
returning id, kind, version, queue, tenant, args, attempt, max_attempts, crashes, reruns, priority, run_at, deadline, lease, errors, trace, rank,
  coalesce((select 1 from group_members m where m.job = jobs.id), 0) as grouped
