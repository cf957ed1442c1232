-- params: none
-- Number of accounts, their sums on both sides, and how many stand on the wrong side or out of bounds; a scan of accounts.
select count(*) as n, cast(coalesce(sum(a.debits), 0) as bigint) as debits, cast(coalesce(sum(a.credits), 0) as bigint) as credits,
  cast(coalesce(sum(case
    when a.debits not between 0 and 9000000000000000 or a.credits not between 0 and 9000000000000000 then 1
    when a.normal = 'debit' and a.debits < a.credits then 1
    when a.normal = 'credit' and a.credits < a.debits then 1
    else 0
  end), 0) as bigint) as outside
from accounts a
