-- params: text
-- Gives jobs that were just inserted their places, blocked for now; primary keys, driven from the input.
with v as materialized (
  select p.* from json_to_recordset(cast($1 as json)) as p(id text, tenant text, key text, back bigint, passes bigint)),
placed as materialized (
  select v.id, v.key, v.passes, s.next - v.back as no
  from v cross join lateral (
    select q.next from sequences q where q.tenant = v.tenant and q.key = v.key limit 1) s)
update jobs j
set sequence = h.key, seq_no = h.no, seq_passes = h.passes, state = 'blocked'
from placed h
where j.id = any(array(select id from placed)) and j.id = h.id and j.sequence = ''
