-- params: text, text, text
-- Refuses the commit unless the job was stamped by it; primary key.
insert into engine_guard (lease_lost)
select 1
where not exists (select 1 from jobs where id = $1 and state = 'running' and lease = $2 and op = $3)
