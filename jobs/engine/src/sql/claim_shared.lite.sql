-- params: text, text, int, text, int, int, text, text, int, int, int
-- Claims due jobs of a queue that tenants share, as far as limits go: tenant by tenant from $4 on, of each as many as $9 times its
-- weight, of the first $10 fewer, looked at are at most $11, taken at most $6; one writer, nobody to skip; index jobs_shared.
with recursive at as (select cast($3 as bigint) as now),
{{limits}},
walk as (
  select (
    select j.tenant
    from jobs j
    where j.queue = $1 and j.state in ('scheduled', 'available', 'retryable') and j.tenant >= $4
    order by j.tenant
    limit 1) as tenant
  union all
  select (
    select j.tenant
    from jobs j
    where j.queue = $1 and j.state in ('scheduled', 'available', 'retryable') and j.tenant > w.tenant
    order by j.tenant
    limit 1)
  from walk w
  where w.tenant is not null),
due as materialized (
  select o.id, o.queue, o.kind, o.tenant, o.limit_key, o.units, o.rank, o.tenant as turn
  from (
    select j.id, j.queue, j.kind, j.tenant, j.limit_key, j.units, j.rank,
      row_number() over (partition by j.tenant order by j.rank, j.id) as place
    from walk w
    cross join jobs j on j.rowid in (
      select j.rowid
      from jobs j
      where {{claimable}}
        and j.tenant = w.tenant and j.rank <= $5
        and {{room}}
      order by j.rank, j.id
      limit coalesce((select max(s.weight) from shares s where s.queue = $1), 1) * $9)
    where w.tenant is not null) o
  where o.place <= coalesce((select s.weight from shares s where s.queue = $1 and s.tenant = o.tenant), 1) * $9
    - case when o.tenant = $4 then $10 else 0 end
  order by o.tenant, o.rank, o.id
  limit $11),
{{placed}}
update jobs
set state = 'running', lease = $7, worker = $8, attempt = attempt + 1, started_at = $3, rev = rev + 1, reason = ''
where id in (
  select d.id
  from due d
  where d.id not in (select p.id from placed p where p.upto > p.free)
  order by d.turn, d.rank, d.id
  limit $6)
returning id, kind, version, queue, tenant, args, attempt, max_attempts, crashes, reruns, priority, run_at, deadline, lease, errors, trace, rank,
  coalesce((select 1 from group_members m where m.job = jobs.id), 0) as grouped, sequence
