-- params: text, int, int, int
-- Lets a job go on that was held for effects and has none open, but one that took its process down too often; it has started,
-- so no start deadline counts any more; primary key.
update jobs
set state = case when crashes >= $4 then 'held' else 'available' end,
  reason = case when crashes >= $4 then 'quarantine' else 'effect settled' end,
  run_at = $2, rank = $2 + priority * $3, deadline = 0, rev = rev + 1
where id = $1 and state = 'held' and reason = 'effect' and open_effects = 0
returning queue
