-- additive: tables, and a guard
-- What sleeping jobs wait for. Whoever sleeps and whoever wakes updates the row of the slot first. A wait counts while its job
-- sleeps and carries the operation that put it to sleep; a signal is kept until a job takes it.
create table signal_slots (
  tenant text collate "C" not null,
  name text collate "C" not null,
  key text collate "C" not null,
  at bigint not null,
  constraint signal_slots_key primary key (tenant, name, key)
);
create index signal_slots_at on signal_slots (at);

create table signals (
  tenant text collate "C" not null,
  id text collate "C" not null,
  name text collate "C" not null constraint signals_name check (name <> ''),
  key text collate "C" not null,
  payload text collate "C" not null,
  sender text collate "C" not null,
  at bigint not null,
  made_by text collate "C" not null,
  taken_by text collate "C" not null default '',
  taken_at bigint not null default 0,
  op text collate "C" not null default '',
  constraint signals_id primary key (tenant, id)
);
create index signals_free on signals (tenant, name, key, at, id) where taken_by = '';
create index signals_taken on signals (taken_by) where taken_by <> '';
create index signals_op on signals (op) where op <> '';
create index signals_at on signals (at);

create table waits (
  job text collate "C" not null constraint waits_job primary key,
  tenant text collate "C" not null,
  name text collate "C" not null,
  key text collate "C" not null,
  op text collate "C" not null,
  since bigint not null
);
create index waits_slot on waits (tenant, name, key, since, job);
create index waits_since on waits (since);

alter table signal_slots enable row level security;
alter table signals enable row level security;
alter table waits enable row level security;
create policy worker_all on signal_slots to clawr_worker using (true) with check (true);
create policy worker_all on signals to clawr_worker using (true) with check (true);
create policy worker_all on waits to clawr_worker using (true) with check (true);
create policy tenant_only on signals for select to clawr_app using (tenant = current_setting('app.tenant', true));
create policy tenant_only on waits for select to clawr_app using (tenant = current_setting('app.tenant', true));
grant select, insert, update, delete on signal_slots, signals, waits to clawr_worker;
grant select on signals, waits to clawr_app;

-- How far a job that runs has come, as its handler says it; the last one of the last run counts.
create table checkpoints (
  job text collate "C" not null constraint checkpoints_job primary key,
  tenant text collate "C" not null,
  data text collate "C" not null,
  lease text collate "C" not null,
  seq bigint not null,
  at bigint not null
);
create index checkpoints_at on checkpoints (at);
alter table checkpoints enable row level security;
create policy worker_all on checkpoints to clawr_worker using (true) with check (true);
create policy tenant_only on checkpoints to clawr_app using (tenant = current_setting('app.tenant', true)) with check (tenant = current_setting('app.tenant', true));
grant select, insert, update, delete on checkpoints to clawr_worker;
grant select, delete on checkpoints to clawr_app;

-- Jobs made together, counted down as they end, and the jobs that are made when all have ended (complete), when all are
-- completed (success), when the first is dead (dead). Whoever ends a member locks its group first. `op` marks what the commit
-- under way has touched; it is empty after it.
create table groups (
  id text collate "C" not null constraint groups_id primary key,
  tenant text collate "C" not null,
  job text collate "C" not null,
  children bigint not null,
  pending bigint not null constraint groups_pending check (pending >= 0),
  completed bigint not null default 0,
  dead bigint not null default 0,
  sealed bigint not null,
  op text collate "C" not null default '',
  rev bigint not null default 0,
  at bigint not null
);
create index groups_op on groups (op) where op <> '';
create index groups_at on groups (at);

create table group_members (
  job text collate "C" not null constraint group_members_job primary key,
  grp text collate "C" not null,
  tenant text collate "C" not null,
  ended text collate "C" not null default '',
  op text collate "C" not null default ''
);
create index group_members_grp on group_members (grp);
create index group_members_live on group_members (job) where ended = '';
create index group_members_op on group_members (op) where op <> '';

create table group_callbacks (
  id text collate "C" not null constraint group_callbacks_id primary key,
  grp text collate "C" not null,
  what text collate "C" not null constraint group_callbacks_what check (what in ('complete','success','dead')),
  kind text collate "C" not null,
  version bigint not null,
  queue text collate "C" not null,
  tenant text collate "C" not null,
  args text collate "C" not null,
  tags text collate "C" not null,
  priority bigint not null,
  max_attempts bigint not null,
  trace text collate "C" not null,
  fired_at bigint not null default 0,
  op text collate "C" not null default '',
  constraint group_callbacks_grp_what unique (grp, what)
);
create index group_callbacks_op on group_callbacks (op) where op <> '';

alter table engine_guard add column group_closed bigint constraint group_closed check (group_closed is null);

alter table groups enable row level security;
alter table group_members enable row level security;
alter table group_callbacks enable row level security;
create policy worker_all on groups to clawr_worker using (true) with check (true);
create policy worker_all on group_members to clawr_worker using (true) with check (true);
create policy worker_all on group_callbacks to clawr_worker using (true) with check (true);
create policy tenant_only on groups to clawr_app using (tenant = current_setting('app.tenant', true)) with check (tenant = current_setting('app.tenant', true));
create policy tenant_only on group_members to clawr_app using (tenant = current_setting('app.tenant', true)) with check (tenant = current_setting('app.tenant', true));
create policy tenant_only on group_callbacks to clawr_app using (tenant = current_setting('app.tenant', true)) with check (tenant = current_setting('app.tenant', true));
grant select, insert, update, delete on groups, group_members, group_callbacks to clawr_worker;
grant select, insert, update on groups to clawr_app;
grant select, update, delete on group_members to clawr_app;
grant select, update on group_callbacks to clawr_app;
