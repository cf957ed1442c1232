-- params: text
-- Locks the jobs that sleep in the input's slots, so that they are looked at in a later statement; waits_slot and primary key.
update jobs
set op = op
where state in ('waiting', 'scheduled') and id in (
  select w.job
  from json_each($1) as v
  join waits w on w.tenant = v.value ->> 'tenant' and w.name = v.value ->> 'name' and w.key = v.value ->> 'key')
