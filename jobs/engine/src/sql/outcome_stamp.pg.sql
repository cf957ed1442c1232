-- params: text, text
-- Stamps the operation on jobs that still run under the given leases; primary key, driven from the input.
with v as materialized (
  select f.id, f.lease from json_to_recordset(cast($1 as json)) as f(id text, lease text)),
held as materialized (
  select k.id from v cross join lateral (
    select j.id from jobs j
    where j.id = v.id and j.state = 'running' and j.lease = v.lease and j.open_effects = 0
    for update) k)
update jobs set op = $2 where id = any(array(select id from held))
