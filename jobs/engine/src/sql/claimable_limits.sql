-- params: none
-- The limits at `at.now` as `caps`; as `used` what of them is in use by each holder (a tenant, a key, or '' for all), as `used_up`
-- where nothing is left; index jobs_running, primary keys.
run as materialized (
  select r.queue, r.kind, r.tenant, r.limit_key, count(*) as n
  from jobs r
  where r.worker > '' and r.worker <> '' and r.state = 'running' and exists (select 1 from limits l where l.measure = 'running')
  group by r.queue, r.kind, r.tenant, r.limit_key),
caps as materialized (
  select l.id, l.what, l.what || l.value as named, l.per, l.measure,
    case when l.until = 0 or l.until > at.now then l.cap else l.then_cap end as cap,
    case when l.until = 0 or l.until > at.now then l.every_us else l.then_every_us end as every_us,
    case when l.until = 0 or l.until > at.now then l.windowed else l.then_windowed end as windowed
  from limits l
  cross join at
  where l.until = 0 or l.until > at.now or l.then_cap > 0),
used as materialized (
  select c.id, case c.per when '' then '' when 'tenant' then r.tenant else r.limit_key end as holder, cast(sum(r.n) as bigint) as n
  from caps c
  join run r on (c.what = 'all' or c.named in ('queue' || r.queue, 'kind' || r.kind, 'tenant' || r.tenant))
  where c.measure = 'running' and (c.per <> 'key' or r.limit_key <> '')
  group by c.id, case c.per when '' then '' when 'tenant' then r.tenant else r.limit_key end
  union all
  select c.id, u.tenant, (u.free_at - at.now + c.every_us - 1) / c.every_us
  from caps c
  cross join at
  join limit_uses u on u.limit_id = c.id
  where c.measure = 'rate' and c.windowed = 0 and u.free_at > at.now
  union all
  select c.id, s.tenant, cast(sum(s.units) as bigint)
  from caps c
  cross join at
  join limit_starts s on s.limit_id = c.id
  where c.windowed = 1 and s.at > at.now - c.every_us
  group by c.id, s.tenant),
used_up as materialized (
  select c.what, c.named, c.per, u.holder
  from used u
  join caps c on c.id = u.id
  where u.n >= c.cap)
