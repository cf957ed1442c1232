-- params: text
-- Posted settlements from an id on, with the entry they name; primary keys.
select s.id, s.network, s.asset, s.payer, s.nonce, s.tenant_id, s.amount_micros, s.entry_id, coalesce(e.key, '') as key,
  coalesce(e.tenant_id, '') as entry_tenant_id, coalesce(e.amount_micros, 0) as entry_amount_micros
from settlements s
left join entries e on e.id = s.entry_id
where s.id > $1
  and s.entry_id <> ''
order by s.id
limit 500
