-- params: text, text, int
-- Stamps the jobs that end, so that archiving and deleting follow the stamp; primary key, driven from the input.
update jobs set op = $2, state = 'held', reason = 'ending', started_at = case when started_at = 0 then $3 else started_at end
where id in (
  select j.id
  from json_each($1) v
  cross join jobs j on j.id = v.value ->> 'id'
  where j.state = 'running' and j.lease = v.value ->> 'lease' and j.open_effects = 0)
