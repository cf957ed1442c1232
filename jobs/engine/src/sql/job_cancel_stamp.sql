-- params: text, text, text, text
-- Stamps a live job of the scope that does not run and has no open effects, so that the rest follows; primary key.
update jobs set op = $3, state = case when state = 'blocked' then 'blocked' else 'held' end, reason = $4, rev = rev + 1
where ($1 = '*' or tenant = $1) and id = $2 and state <> 'running' and open_effects = 0
