-- additive: tables
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
grant select, insert, update, delete on signal_slots, signals, waits to clawr_worker;
grant select on signals to clawr_app;

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
