-- params: text, text, int
-- Guard lease_lost: every job of the input carries this stamp and still runs; primary key.
insert into engine_guard (lease_lost)
select 1
where (
  select count(*)
  from json_to_recordset(cast($1 as json)) as v(id text)
  cross join lateral (select 1 from jobs j where j.id = v.id and j.op = $2 and j.state = 'running' limit 1) k) <> $3
