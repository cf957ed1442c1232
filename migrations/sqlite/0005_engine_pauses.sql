-- additive: two tables and a column
-- What must not be claimed for now, by queue, kind, tag or tenant, with who said so, why and until when; what a worker
-- process can run; which jobs were taken from which worker, on what evidence. A binary that never heard of pauses claims
-- what is paused.
create table pauses (
  id text not null primary key,
  what text not null constraint pauses_what check (what in ('queue','kind','tag','tenant')),
  value text not null constraint pauses_value check (value <> ''),
  who text not null,
  why text not null,
  until integer not null,
  created_at integer not null,
  constraint pauses_what_value unique (what, value)
) strict, without rowid;
--;;
alter table workers add column runnable text not null default '[]';
--;;
create table rescues (
  job text not null,
  lease text not null,
  worker text not null,
  attempt integer not null,
  started_at integer not null,
  at integer not null,
  crash integer not null,
  rescuer text not null,
  evidence text not null,
  constraint rescues_lease primary key (job, lease)
) strict, without rowid;
