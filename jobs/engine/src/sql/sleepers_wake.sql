-- params: text, int, int
-- Makes the jobs due that were given a signal by this operation; index signals_op and primary key.
update jobs
set state = 'available', reason = 'signal', run_at = $2, rank = $2 + priority * $3, rev = rev + 1
where state in ('waiting', 'scheduled') and id in (select s.taken_by from signals s where s.op = $1 and s.op <> '')
returning id, queue
