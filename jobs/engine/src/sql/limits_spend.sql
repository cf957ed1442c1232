-- params: text, int, text
-- Takes from the buckets of rate limits what claim $1 of worker $3 started at $2; their rows are locked; index jobs_running.
insert into limit_uses (limit_id, tenant, free_at)
select t.id, t.holder, t.n * t.every_us + case when coalesce(u.free_at, 0) > $2 then u.free_at else $2 end
from (
  select c.id, c.every_us, case c.per when '' then '' when 'tenant' then j.tenant else j.limit_key end as holder,
    cast(sum(case when j.units > c.cap then c.cap else j.units end) as bigint) as n
  from jobs j
  cross join (
    select l.id, l.what, l.what || l.value as named, l.per,
      case when l.until = 0 or l.until > $2 then l.cap else l.then_cap end as cap,
      case when l.until = 0 or l.until > $2 then l.every_us else l.then_every_us end as every_us,
      case when l.until = 0 or l.until > $2 then l.windowed else l.then_windowed end as windowed
    from limits l
    where l.measure = 'rate' and (l.until = 0 or l.until > $2 or l.then_cap > 0)) c
  where (c.what = 'all' or c.named in ('queue' || j.queue, 'kind' || j.kind, 'tenant' || j.tenant))
    and (c.per <> 'key' or j.limit_key <> '') and c.windowed = 0
    and j.worker = $3 and j.worker <> '' and j.state = 'running' and j.lease = $1
  group by c.id, c.every_us, case c.per when '' then '' when 'tenant' then j.tenant else j.limit_key end) t
left join limit_uses u on u.limit_id = t.id and u.tenant = t.holder
where t.n > 0
on conflict (limit_id, tenant) do update set free_at = excluded.free_at
