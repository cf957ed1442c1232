-- params: int
-- What of limits is in use at $1, by holder, what is used up first, and when a rate limit has more room; index jobs_running, primary keys.
with at as (select cast($1 as bigint) as now),
{{limits}}
select c.id, u.holder, u.n, coalesce(s.free_at, 0) as free_at,
  coalesce((
    select min(b.at) + c.every_us
    from limit_starts b
    where c.windowed = 1 and b.limit_id = c.id and b.tenant = u.holder and b.at > $1 - c.every_us), 0) as window_at
from used u
join caps c on c.id = u.id
left join limit_uses s on c.measure = 'rate' and c.windowed = 0 and s.limit_id = c.id and s.tenant = u.holder
order by case when u.n >= c.cap then 0 else 1 end, c.id, u.holder
limit 10000
