-- params: text
-- Ends the waits of jobs that were given a signal by this operation; index signals_op and primary key.
delete from waits where job in (select s.taken_by from signals s where s.op = $1 and s.op <> '')
