-- params: text, text
-- Stamps the operation on jobs that still run under the given leases; primary key, driven from the input.
update jobs set op = $2
where id in (
  select j.id
  from json_each($1) v
  cross join jobs j on j.id = v.value ->> 'id'
  where j.state = 'running' and j.lease = v.value ->> 'lease' and j.open_effects = 0)
