-- params: int
-- Limits that are used up at $1, per tenant where they are, and when a rate limit has room again; index jobs_running.
with at as (select cast($1 as bigint) as now),
{{limits}}
select c.id, u.tenant, u.n, coalesce(s.free_at - (c.cap - 1) * c.every_us, 0) as room_at
from used u
join caps c on c.id = u.id
left join limit_uses s on c.measure = 'rate' and s.limit_id = c.id and s.tenant = u.tenant
where u.n >= c.cap
order by c.id, u.tenant
limit 10000
