-- params: text, int, text
-- Spends of the rate limits what claim $1 of worker $3 took at $2; their rows are locked; index jobs_running.
insert into limit_uses (limit_id, tenant, free_at)
select t.id, t.tenant, t.n * t.every_us + case when coalesce(u.free_at, 0) > $2 then u.free_at else $2 end
from (
  select l.id, case when l.per = '' then '' else j.tenant end as tenant, count(*) as n,
    case when l.until = 0 or l.until > $2 then l.every_us else l.then_every_us end as every_us
  from jobs j
  cross join limits l
  where (l.what = 'all' or l.what || l.value in ('queue' || j.queue, 'kind' || j.kind, 'tenant' || j.tenant))
    and j.worker = $3 and j.worker <> '' and j.state = 'running' and j.lease = $1
    and l.measure = 'rate' and (l.until = 0 or l.until > $2 or l.then_cap > 0)
  group by l.id, case when l.per = '' then '' else j.tenant end,
    case when l.until = 0 or l.until > $2 then l.every_us else l.then_every_us end) t
left join limit_uses u on u.limit_id = t.id and u.tenant = t.tenant
where t.n > 0
on conflict (limit_id, tenant) do update set free_at = excluded.free_at
