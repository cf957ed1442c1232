-- params: text, text, int
-- Makes a retryable, scheduled or quarantined job of the scope due now; primary key.
update jobs
set state = 'available', cancel_asked = 0, run_at = $3, rank = $3 + priority * 60000000, rev = rev + 1, reason = '',
  crashes = case when state = 'held' then 0 else crashes end
where ($1 = '*' or tenant = $1) and id = $2
  and (state in ('retryable', 'scheduled') or (state = 'held' and reason = 'quarantine' and open_effects = 0))
returning id, queue
