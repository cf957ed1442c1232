-- params: none
-- Accounts whose stored sums are not those of their legs, and legs whose account does not exist, in one snapshot; a scan of legs.
select coalesce(a.id, '') as id, coalesce(p.account, '') as posted, coalesce(a.debits, 0) as debits, coalesce(a.credits, 0) as credits,
  coalesce(p.debits, 0) as posted_debits, coalesce(p.credits, 0) as posted_credits
from (
  select x.account, cast(sum(x.debit) as bigint) as debits, cast(sum(x.credit) as bigint) as credits
  from (
    select l.debit as account, l.amount_micros as debit, 0 as credit from legs l
    union all
    select l.credit as account, 0 as debit, l.amount_micros as credit from legs l
    union all
    select b.id as account, 0 as debit, 0 as credit from accounts b
  ) x
  group by x.account
) p
left join accounts a on a.id = p.account
where a.id is null
  or a.debits <> p.debits
  or a.credits <> p.credits
order by p.account
limit 100
