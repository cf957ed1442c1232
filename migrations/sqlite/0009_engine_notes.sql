-- additive: tables
-- What running jobs say of themselves: how far they are, and lines for people. Bounded by who writes; gone with the job.
create table job_progress (
  job text not null constraint job_progress_job primary key,
  tenant text not null,
  percent integer not null constraint job_progress_percent check (percent between 0 and 100),
  note text not null,
  at integer not null
) strict;
--;;
create table job_logs (
  job text not null,
  attempt integer not null,
  seq integer not null,
  tenant text not null,
  line text not null,
  at integer not null,
  constraint job_logs_job_attempt_seq primary key (job, attempt, seq)
) strict;
