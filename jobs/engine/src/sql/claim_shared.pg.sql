-- params: text, text, int, text, int, int, text, text, int, int, int
-- Claims due jobs of a queue that tenants share, as far as limits go: tenant by tenant from $4 on, of each as many as $9 times its
-- weight, of the first $10 fewer, looked at are at most $11, taken at most $6, skipping rows others are claiming; index jobs_shared. Tenants are walked one
-- by one, and no further than is needed.
with recursive at as (select cast($3 as bigint) as now),
{{limits}},
walk as (
  (select j.tenant
    from jobs j
    where j.queue = $1 and j.state in ('scheduled', 'available', 'retryable') and j.tenant >= $4
    order by j.tenant
    limit 1)
  union all
  select n.tenant
  from walk w
  cross join lateral (
    select j.tenant
    from jobs j
    where j.queue = $1 and j.state in ('scheduled', 'available', 'retryable') and j.tenant > w.tenant
    order by j.tenant
    limit 1) n),
due as materialized (
  select o.id, o.queue, o.kind, o.tenant, o.limit_key, o.units, o.rank, o.tenant as turn
  from walk w
  cross join lateral (
    select j.id, j.queue, j.kind, j.tenant, j.limit_key, j.units, j.rank
    from jobs j
    where {{claimable}}
      and j.tenant = w.tenant and j.rank <= $5
      and {{room}}
    order by j.rank, j.id
    limit case
      when w.tenant <> $4 then coalesce((select s.weight from shares s where s.queue = $1 and s.tenant = w.tenant), 1) * $9
      when coalesce((select s.weight from shares s where s.queue = $1 and s.tenant = w.tenant), 1) * $9 > $10
        then coalesce((select s.weight from shares s where s.queue = $1 and s.tenant = w.tenant), 1) * $9 - $10
      else 0 end
    for update of j skip locked) o
  limit $11),
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
