-- params: int
-- Forgets sequences that nobody has used since the day before $1 and that nothing of is left; sequences_day, jobs_sequence_blocked,
-- jobs_sequence_active, sequence_stops_key.
delete from sequences
where day < $1
  and not exists (select 1 from jobs j where j.state = 'blocked' and j.tenant = sequences.tenant and j.sequence = sequences.key)
  and not exists (
    select 1 from jobs a
    where a.tenant = sequences.tenant and a.sequence = sequences.key and a.sequence <> '' and a.state <> 'blocked')
  and not exists (select 1 from sequence_stops s where s.tenant = sequences.tenant and s.key = sequences.key)
