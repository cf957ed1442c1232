-- additive: tables
-- What jobs did outside: the intent before the call, the verdict after it, and every observation of either. An effect is
-- open while it is intended, unknown or needs a person; `jobs.open_effects` counts a job's open ones.
create table effects (
  id text not null constraint effects_id primary key,
  key text not null constraint effects_key unique,
  job text not null,
  kind text not null,
  tenant text not null,
  class text not null constraint effects_class check (class in ('keyed','provable','at_least_once')),
  state text not null constraint effects_state check (state in ('intended','confirmed','rejected','unknown','absent','needs_person')),
  money integer not null,
  intent text not null,
  evidence text not null default '',
  lease text not null,
  op text not null,
  start_by integer not null,
  tries integer not null default 1,
  rev integer not null default 0,
  created_at integer not null,
  open_since integer not null,
  settled_at integer not null default 0
) strict;
--;;
create index effects_job on effects (job);
--;;
create index effects_open on effects (state, id) where state in ('intended','unknown','needs_person');
--;;
create table effect_observations (
  id text not null constraint effect_observations_id primary key,
  effect text not null,
  tenant text not null,
  source text not null constraint effect_observations_source check (source in ('handler','resolver','person','rescue')),
  actor text not null,
  verdict text not null constraint effect_observations_verdict check (verdict in ('confirmed','rejected','absent','unknown')),
  try integer not null,
  evidence text not null,
  at integer not null
) strict;
--;;
create index effect_observations_effect on effect_observations (effect, id);
--;;
create table findings (
  id text not null constraint findings_id primary key,
  what text not null,
  object text not null,
  tenant text not null,
  detail text not null,
  op text not null,
  created_at integer not null,
  closed_at integer not null default 0
) strict;
--;;
create index findings_open on findings (id) where closed_at = 0;
