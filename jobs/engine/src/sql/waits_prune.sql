-- params: int
-- Forgets old waits whose jobs went on without a signal; index waits_since and the primary key of jobs.
delete from waits
where since < $1
  and not exists (select 1 from jobs j where j.id = waits.job and j.op = waits.op and j.state in ('waiting', 'scheduled'))
