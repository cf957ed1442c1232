-- params: none
-- The limits at `at.now` as `caps`, and as `used` what of them is in use per tenant or, with tenant '', by all; index jobs_running.
run as materialized (
  select r.queue, r.kind, r.tenant, count(*) as n
  from jobs r
  where r.worker > '' and r.worker <> '' and r.state = 'running'
  group by r.queue, r.kind, r.tenant),
caps as materialized (
  select l.id, l.what, l.value, l.per, l.measure,
    case when l.until = 0 or l.until > at.now then l.cap else l.then_cap end as cap,
    case when l.until = 0 or l.until > at.now then l.every_us else l.then_every_us end as every_us
  from limits l
  cross join at
  where l.until = 0 or l.until > at.now or l.then_cap > 0),
used as materialized (
  select c.id, case when c.per = '' then '' else r.tenant end as tenant, cast(sum(r.n) as bigint) as n
  from caps c
  join run r on (c.what = 'all' or c.what || c.value in ('queue' || r.queue, 'kind' || r.kind, 'tenant' || r.tenant))
  where c.measure = 'running'
  group by c.id, case when c.per = '' then '' else r.tenant end
  union all
  select c.id, u.tenant, (u.free_at - at.now + c.every_us - 1) / c.every_us
  from caps c
  cross join at
  join limit_uses u on u.limit_id = c.id
  where c.measure = 'rate' and u.free_at > at.now)
