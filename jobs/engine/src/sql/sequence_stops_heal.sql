-- params: text
-- Takes away what stops the input's sequences without being dead; the sequences are locked; sequence_stops_key and primary key.
delete from sequence_stops
where job in (
  select s.job
  from json_each($1) as v
  join sequence_stops s on s.tenant = v.value ->> 'tenant' and s.key = v.value ->> 'key')
  and not exists (select 1 from archive a where a.id = sequence_stops.job and a.state = 'dead' and a.reason <> 'erased')
returning job as unstopped
