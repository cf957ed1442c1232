-- additive: tables, and a guard
-- What sleeping jobs wait for. Whoever sleeps and whoever wakes updates the row of the slot first. A wait counts while its job
-- sleeps and carries the operation that put it to sleep; a signal is kept until a job takes it.
create table signal_slots (
  tenant text not null,
  name text not null,
  key text not null,
  at integer not null,
  constraint signal_slots_key primary key (tenant, name, key)
) strict, without rowid;
--;;
create index signal_slots_at on signal_slots (at);
--;;
create table signals (
  tenant text not null,
  id text not null,
  name text not null constraint signals_name check (name <> ''),
  key text not null,
  payload text not null,
  sender text not null,
  at integer not null,
  made_by text not null,
  taken_by text not null default '',
  taken_at integer not null default 0,
  op text not null default '',
  constraint signals_id primary key (tenant, id)
) strict;
--;;
create index signals_free on signals (tenant, name, key, at, id) where taken_by = '';
--;;
create index signals_taken on signals (taken_by) where taken_by <> '';
--;;
create index signals_op on signals (op) where op <> '';
--;;
create index signals_at on signals (at);
--;;
create table waits (
  job text not null primary key,
  tenant text not null,
  name text not null,
  key text not null,
  op text not null,
  since integer not null
) strict, without rowid;
--;;
create index waits_slot on waits (tenant, name, key, since, job);
--;;
create index waits_since on waits (since);
--;;
-- How far a job that runs has come, as its handler says it; the last one of the last run counts.
create table checkpoints (
  job text not null primary key,
  tenant text not null,
  data text not null,
  lease text not null,
  seq integer not null,
  at integer not null
) strict, without rowid;
--;;
create index checkpoints_at on checkpoints (at);
--;;
-- Jobs made together, counted down as they end, and the jobs that are made when all have ended (complete), when all are
-- completed (success), when the first is dead (dead). Whoever ends a member locks its group first. `op` marks what the commit
-- under way has touched; it is empty after it.
create table groups (
  id text not null constraint groups_id primary key,
  tenant text not null,
  job text not null,
  children integer not null,
  pending integer not null constraint groups_pending check (pending >= 0),
  completed integer not null default 0,
  dead integer not null default 0,
  sealed integer not null,
  op text not null default '',
  rev integer not null default 0,
  at integer not null
) strict;
--;;
create index groups_op on groups (op) where op <> '';
--;;
create index groups_at on groups (at);
--;;
create table group_members (
  job text not null constraint group_members_job primary key,
  grp text not null,
  tenant text not null,
  ended text not null default '',
  op text not null default ''
) strict;
--;;
create index group_members_grp on group_members (grp);
--;;
create index group_members_live on group_members (job) where ended = '';
--;;
create index group_members_op on group_members (op) where op <> '';
--;;
create table group_callbacks (
  id text not null constraint group_callbacks_id primary key,
  grp text not null,
  what text not null constraint group_callbacks_what check (what in ('complete','success','dead')),
  kind text not null,
  version integer not null,
  queue text not null,
  tenant text not null,
  args text not null,
  tags text not null,
  priority integer not null,
  max_attempts integer not null,
  trace text not null,
  fired_at integer not null default 0,
  op text not null default '',
  constraint group_callbacks_grp_what unique (grp, what)
) strict;
--;;
create index group_callbacks_op on group_callbacks (op) where op <> '';
--;;
alter table engine_guard add column group_closed integer constraint group_closed check (group_closed is null);
