-- params: text
-- Adds legs to both their accounts, each account once with its sums, in order of ids; account_bounds judges the result; primary key.
update accounts
set debits = accounts.debits + p.debits,
  credits = accounts.credits + p.credits,
  rev = accounts.rev + 1
from (
  select l.account, cast(sum(l.debit) as bigint) as debits, cast(sum(l.credit) as bigint) as credits
  from (
    select v.value ->> 'debit' as account, cast(v.value ->> 'amount_micros' as bigint) as debit, 0 as credit
    from json_each($1) as v
    union all
    select v.value ->> 'credit' as account, 0 as debit, cast(v.value ->> 'amount_micros' as bigint) as credit
    from json_each($1) as v
  ) l
  group by l.account
  order by l.account
) p
where accounts.id = p.account
