-- params: text, text, text
-- Stamps the job that still runs under this lease, and was not asked to stop: the lock of everything its effect does; primary key.
update jobs set op = $3 where id = $1 and state = 'running' and lease = $2 and cancel_asked = 0
