-- params: text
-- Forgets how far a job came that is not live any more; primary keys.
delete from checkpoints where job = $1 and not exists (select 1 from jobs j where j.id = $1)
