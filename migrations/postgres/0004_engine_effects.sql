-- additive: tables
-- What jobs did outside: the intent before the call, the verdict after it, and every observation of either. An effect is
-- open while it is intended, unknown or needs a person; `jobs.open_effects` counts a job's open ones.
create table effects (
  id text collate "C" not null constraint effects_id primary key,
  key text collate "C" not null constraint effects_key unique,
  job text collate "C" not null,
  kind text collate "C" not null,
  tenant text collate "C" not null,
  class text collate "C" not null constraint effects_class check (class in ('keyed','provable','at_least_once')),
  state text collate "C" not null constraint effects_state check (state in ('intended','confirmed','rejected','unknown','absent','needs_person')),
  money bigint not null,
  intent text collate "C" not null,
  evidence text collate "C" not null default '',
  lease text collate "C" not null,
  op text collate "C" not null,
  start_by bigint not null,
  tries bigint not null default 1,
  rev bigint not null default 0,
  created_at bigint not null,
  open_since bigint not null,
  settled_at bigint not null default 0
);
create index effects_job on effects (job);
create index effects_open on effects (state, id) where state in ('intended','unknown','needs_person');

create table effect_observations (
  id text collate "C" not null constraint effect_observations_id primary key,
  effect text collate "C" not null,
  tenant text collate "C" not null,
  source text collate "C" not null constraint effect_observations_source check (source in ('handler','resolver','person','rescue')),
  actor text collate "C" not null,
  verdict text collate "C" not null constraint effect_observations_verdict check (verdict in ('confirmed','rejected','absent','unknown')),
  try bigint not null,
  evidence text collate "C" not null,
  at bigint not null
);
create index effect_observations_effect on effect_observations (effect, id);

create table findings (
  id text collate "C" not null constraint findings_id primary key,
  what text collate "C" not null,
  object text collate "C" not null,
  tenant text collate "C" not null,
  detail text collate "C" not null,
  op text collate "C" not null,
  created_at bigint not null,
  closed_at bigint not null default 0
);
create index findings_open on findings (id) where closed_at = 0;

alter table effects enable row level security;
alter table effect_observations enable row level security;
alter table findings enable row level security;
create policy worker_all on effects to clawr_worker using (true) with check (true);
create policy worker_all on effect_observations to clawr_worker using (true) with check (true);
create policy worker_all on findings to clawr_worker using (true) with check (true);
create policy tenant_only on effects for select to clawr_app using (tenant = current_setting('app.tenant', true));
create policy tenant_only on effect_observations for select to clawr_app using (tenant = current_setting('app.tenant', true));
create policy tenant_only on findings for select to clawr_app using (tenant = current_setting('app.tenant', true));
grant select, insert, update, delete on effects, effect_observations, findings to clawr_worker;
grant select on effects, effect_observations, findings to clawr_app;
