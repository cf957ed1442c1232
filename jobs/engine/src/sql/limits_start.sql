-- params: text, int, text
-- Writes into the windows of rate limits what claim $1 of worker $3 started at $2; their rows are locked; index jobs_running. A claim
-- that waited for the locks starts no earlier than the last one that had them.
insert into limit_starts (limit_id, tenant, at, op, units)
select c.id, case c.per when '' then '' when 'tenant' then j.tenant else j.limit_key end,
  coalesce((select max(s.at) from limit_starts s where s.limit_id = c.id and s.at > $2), $2), $1,
  cast(sum(case when j.units > c.cap then c.cap else j.units end) as bigint)
from jobs j
cross join (
  select l.id, l.what, l.what || l.value as named, l.per,
    case when l.until = 0 or l.until > $2 then l.cap else l.then_cap end as cap,
    case when l.until = 0 or l.until > $2 then l.windowed else l.then_windowed end as windowed
  from limits l
  where l.measure = 'rate' and (l.until = 0 or l.until > $2 or l.then_cap > 0)) c
where (c.what = 'all' or c.named in ('queue' || j.queue, 'kind' || j.kind, 'tenant' || j.tenant))
  and (c.per <> 'key' or j.limit_key <> '') and c.windowed = 1
  and j.worker = $3 and j.worker <> '' and j.state = 'running' and j.lease = $1
group by c.id, case c.per when '' then '' when 'tenant' then j.tenant else j.limit_key end
