-- params: text, int, int
-- Lets a job go on that was held for effects and has none open; primary key.
update jobs set state = 'available', reason = 'effect settled', run_at = $2, rank = $2 + priority * $3, rev = rev + 1
where id = $1 and state = 'held' and reason = 'effect' and open_effects = 0
returning queue
