-- params: text
-- Gives jobs that were just inserted their places, blocked for now; primary keys, driven from the input.
update jobs
set sequence = h.key, seq_no = h.no, seq_passes = h.passes, state = 'blocked'
from (
  select j.rowid as at, s.key, s.next - (v.value ->> 'back') as no, v.value ->> 'passes' as passes
  from json_each($1) v
  cross join jobs j on j.id = v.value ->> 'id'
  cross join sequences s on s.tenant = v.value ->> 'tenant' and s.key = v.value ->> 'key'
  where j.sequence = ''
  limit 1000) h
where jobs.rowid = h.at
