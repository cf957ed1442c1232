-- params: text, text, int
-- Dead jobs among the input's that this operation has ended stop their sequences, unless those go on all the same; primary keys.
insert into sequence_stops (job, tenant, key, no, at)
select a.id, a.tenant, a.sequence, a.seq_no, $3
from json_each($1) as v
join archive a on a.id = v.value ->> 'id'
where a.op = $2 and a.state = 'dead' and a.sequence <> '' and a.seq_passes = 0
on conflict (job) do nothing
