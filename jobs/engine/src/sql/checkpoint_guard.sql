-- params: text, text, int
-- Refuses a checkpoint of this lease that comes after a later one of the same; primary key.
insert into engine_guard (lease_lost)
select 1
where exists (select 1 from checkpoints where job = $1 and lease = $2 and seq >= $3)
