-- params: text
-- How far a job has come; primary key.
select data from checkpoints where job = $1
