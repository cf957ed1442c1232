-- params: text
-- Settlements of a scope by state: how many, how much, how many posted; a scan, or settlements_tenant_id.
select s.state, count(*) as n, cast(sum(s.amount_micros) as bigint) as amount_micros,
  cast(sum(case when s.entry_id <> '' then 1 else 0 end) as bigint) as posted
from settlements s
where ($1 = '*' or s.tenant_id = $1)
group by s.state
order by s.state
