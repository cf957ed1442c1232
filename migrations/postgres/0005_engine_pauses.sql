-- additive: two tables and a column
-- What must not be claimed for now, by queue, kind, tag or tenant, with who said so, why and until when; what a worker
-- process can run; which jobs were taken from which worker, on what evidence. A binary that never heard of pauses claims
-- what is paused.
create table pauses (
  id text collate "C" not null constraint pauses_id primary key,
  what text collate "C" not null constraint pauses_what check (what in ('queue','kind','tag','tenant')),
  value text collate "C" not null constraint pauses_value check (value <> ''),
  who text collate "C" not null,
  why text collate "C" not null,
  until bigint not null,
  created_at bigint not null,
  constraint pauses_what_value unique (what, value)
);

alter table workers add column runnable text collate "C" not null default '[]';

create table rescues (
  job text collate "C" not null,
  lease text collate "C" not null,
  worker text collate "C" not null,
  attempt bigint not null,
  started_at bigint not null,
  at bigint not null,
  crash bigint not null,
  rescuer text collate "C" not null,
  evidence text collate "C" not null,
  constraint rescues_lease primary key (job, lease)
);

alter table pauses enable row level security;
create policy worker_all on pauses to clawr_worker using (true) with check (true);
create policy not_of_others on pauses to clawr_app using (what <> 'tenant' or value = current_setting('app.tenant', true));

grant select, insert, update, delete on pauses, rescues to clawr_worker;
grant select on pauses to clawr_app;
