-- params: text, text, int
-- Ids between two, in order, of jobs of which more is kept than a row in the archive; primary keys, index effects_job.
select job as id
from (
  select * from (select distinct job from job_logs where job > $1 and job < $2 order by job limit $3) of_job_logs
  union
  select * from (select job from job_progress where job > $1 and job < $2 order by job limit $3) of_job_progress
  union
  select * from (select job from checkpoints where job > $1 and job < $2 order by job limit $3) of_checkpoints
  union
  select * from (select distinct job from rescues where job > $1 and job < $2 order by job limit $3) of_rescues
  union
  select * from (select job from waits where job > $1 and job < $2 order by job limit $3) of_waits
  union
  select * from (select distinct job from effects where job > $1 and job < $2 and state in ('rejected', 'absent') order by job limit $3) of_effects) b
order by job
limit $3
