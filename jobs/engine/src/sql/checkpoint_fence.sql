-- params: text, text, text
-- Stamps the job that still runs under this lease: the lock of its checkpoint, which one that tidies up may take, too; primary key.
update jobs set op = $3 where id = $1 and state = 'running' and lease = $2
