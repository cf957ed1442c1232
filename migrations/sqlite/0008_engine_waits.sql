-- additive: tables
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
