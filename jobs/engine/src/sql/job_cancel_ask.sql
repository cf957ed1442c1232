-- params: text, text, text
-- Asks a running job of the scope to stop; primary key.
update jobs set cancel_asked = 1, reason = $3, rev = rev + 1
where ($1 = '*' or tenant = $1) and id = $2 and state = 'running'
returning id
