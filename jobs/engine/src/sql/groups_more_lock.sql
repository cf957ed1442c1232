-- params: text, text
-- Locks and stamps the groups of the input, in order of ids: those that are there are met by the insert; primary key.
insert into groups (id, tenant, job, children, pending, sealed, at)
select g.id, g.tenant, g.job, g.children, g.pending, g.sealed, g.at
from json_each($1) as v
join groups g on g.id = v.value ->> 'id'
where true
order by 1
on conflict (id) do update set op = $2, rev = groups.rev + 1
