-- params: none
-- Where each job of `due` comes in the order of those that share what is left of a limit, by what it and those before it weigh:
-- beyond `free` it has to wait. A job that weighs more than a limit allows at all weighs as much as that.
placed as (
  select d.id, c.cap - coalesce(u.n, 0) as free,
    sum(case when c.measure = 'running' then 1 when d.units > c.cap then c.cap else d.units end) over (
      partition by c.id, case c.per when '' then '' when 'tenant' then d.tenant else d.limit_key end
      order by d.turn, d.rank, d.id) as upto
  from due d
  join caps c on (c.what = 'all' or c.named in ('queue' || d.queue, 'kind' || d.kind, 'tenant' || d.tenant))
    and (c.per <> 'key' or d.limit_key <> '')
  left join used u on u.id = c.id and u.holder = case c.per when '' then '' when 'tenant' then d.tenant else d.limit_key end)
