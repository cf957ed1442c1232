-- params: text
-- Opens accounts that do not exist yet, in order of ids: posting is an update, because an upsert's CHECK would judge the posted amount alone; primary key.
insert into accounts (id, tenant_id, normal)
select distinct v.value ->> 'id', v.value ->> 'tenant_id', v.value ->> 'normal'
from json_each($1) as v
where not exists (select 1 from accounts a where a.id = v.value ->> 'id')
order by 1
on conflict (id) do nothing
