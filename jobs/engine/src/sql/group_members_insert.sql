-- params: text
-- Puts new jobs into their groups; primary key.
insert into group_members (job, grp, tenant)
select v.value ->> 'job', v.value ->> 'grp', v.value ->> 'tenant'
from json_each($1) as v
