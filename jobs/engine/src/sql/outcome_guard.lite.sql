-- params: text, text, int
-- Guard lease_lost: every job of the input carries this stamp and still runs; primary key.
insert into engine_guard (lease_lost)
select 1
where (
  select count(*)
  from json_each($1) v
  cross join jobs j on j.id = v.value ->> 'id'
  where j.op = $2 and j.state = 'running') <> $3
