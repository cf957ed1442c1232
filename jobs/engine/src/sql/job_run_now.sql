-- params: text, text, int
-- Makes a scheduled or retryable job of the scope due now; primary key.
update jobs
set state = 'available', cancel_asked = 0, run_at = $3, rank = $3 + priority * 60000000, rev = rev + 1, reason = 'run now'
where ($1 = '*' or tenant = $1) and id = $2 and state in ('scheduled', 'retryable')
returning id, queue
