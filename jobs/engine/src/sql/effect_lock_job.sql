-- params: text
-- Locks the job of an effect ahead of the effect, as everybody else does; primary key.
update jobs set op = op where id = $1
