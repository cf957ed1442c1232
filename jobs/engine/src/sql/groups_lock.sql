-- params: text, text
-- Locks and stamps the groups of the input's jobs, in order of ids: they are there, so the insert always meets them; primary keys.
insert into groups (id, tenant, job, children, pending, sealed, at)
select distinct g.id, g.tenant, g.job, g.children, g.pending, g.sealed, g.at
from json_each($1) as v
join group_members m on m.job = v.value ->> 'id'
join groups g on g.id = m.grp
where true
order by 1
on conflict (id) do update set op = $2, rev = groups.rev + 1
