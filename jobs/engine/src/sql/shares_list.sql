-- params: none
-- The queues that tenants share, and the weights of those that have one of their own; primary key.
select queue, tenant, weight, who, why, created_at
from shares
order by queue, tenant
limit 100000
