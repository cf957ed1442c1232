-- additive: tables
-- What running jobs say of themselves: how far they are, and lines for people. Bounded by who writes; gone with the job.
create table job_progress (
  job text collate "C" not null constraint job_progress_job primary key,
  tenant text collate "C" not null,
  percent bigint not null constraint job_progress_percent check (percent between 0 and 100),
  note text collate "C" not null,
  at bigint not null
);
create table job_logs (
  job text collate "C" not null,
  attempt bigint not null,
  seq bigint not null,
  tenant text collate "C" not null,
  line text collate "C" not null,
  at bigint not null,
  constraint job_logs_job_attempt_seq primary key (job, attempt, seq)
);
alter table job_progress enable row level security;
alter table job_logs enable row level security;
create policy worker_all on job_progress to clawr_worker using (true) with check (true);
create policy worker_all on job_logs to clawr_worker using (true) with check (true);
create policy tenant_only on job_progress to clawr_app using (tenant = current_setting('app.tenant', true));
create policy tenant_only on job_logs to clawr_app using (tenant = current_setting('app.tenant', true));
grant select, insert, update, delete on job_progress, job_logs to clawr_worker;
grant select, delete on job_progress, job_logs to clawr_app;
