-- params: text, text, int
-- Gives the kept signals of the input's slots to the jobs that sleep there, each to one, oldest to longest asleep; indexes
-- signals_free, waits_slot and the primary key of jobs.
update signals
set taken_by = m.job, taken_at = $3, op = $2
from (
  select f.tenant, f.id, w.job
  from (
    select s.tenant, s.id, s.name, s.key,
      row_number() over (partition by s.tenant, s.name, s.key order by s.at, s.id) as place
    from json_each($1) as v
    join signals s on s.tenant = v.value ->> 'tenant' and s.name = v.value ->> 'name' and s.key = v.value ->> 'key'
    where s.taken_by = '') f
  join (
    select a.tenant, a.name, a.key, a.job,
      row_number() over (partition by a.tenant, a.name, a.key order by a.since, a.job) as place
    from json_each($1) as v
    join waits a on a.tenant = v.value ->> 'tenant' and a.name = v.value ->> 'name' and a.key = v.value ->> 'key'
    join jobs j on j.id = a.job
    where j.op = a.op and j.state in ('waiting', 'scheduled')) w
    on w.tenant = f.tenant and w.name = f.name and w.key = f.key and w.place = f.place) m
where signals.tenant = m.tenant and signals.id = m.id
