-- The queue: live jobs narrow and hot, ended ones in the archive, identities in the register. Nothing here knows a
-- business word. Each statement ends with a line of two dashes and two semicolons; triggers stand on one line.
create table if not exists schema_migrations (name text not null constraint schema_migrations_name primary key, checksum text not null, applied_at integer not null) strict;
--;;
create table engine_guard (
  lease_lost integer constraint lease_lost check (lease_lost is null),
  not_claimable integer constraint not_claimable check (not_claimable is null)
) strict;
--;;
create table ops (id text not null primary key, at integer not null) strict, without rowid;
--;;
create index ops_at on ops (at);
--;;
create table jobs (
  id text not null primary key,
  kind text not null,
  version integer not null,
  queue text not null,
  state text not null constraint jobs_state check (state in ('scheduled','available','running','retryable','waiting','blocked','held')),
  tenant text not null default '',
  args text not null,
  tags text not null default '[]',
  priority integer not null,
  run_at integer not null,
  rank integer not null,
  deadline integer not null default 0,
  attempt integer not null default 0,
  max_attempts integer not null,
  crashes integer not null default 0,
  reruns integer not null default 0,
  lease text not null default '',
  worker text not null default '',
  op text not null default '',
  rev integer not null default 0,
  open_effects integer not null default 0 constraint open_effects check (open_effects >= 0),
  cancel_asked integer not null default 0,
  key text not null default '',
  trace text not null default '',
  errors text not null default '[]',
  reason text not null default '',
  created_at integer not null,
  started_at integer not null default 0
) strict;
--;;
create index jobs_claim on jobs (queue, rank, id) where state in ('scheduled','available','retryable');
--;;
create index jobs_running on jobs (worker) where state = 'running';
--;;
create table archive (
  id text not null primary key,
  kind text not null,
  version integer not null,
  queue text not null,
  state text not null constraint archive_state check (state in ('completed','cancelled','dead')),
  tenant text not null,
  args text not null,
  tags text not null,
  priority integer not null,
  run_at integer not null,
  deadline integer not null,
  attempt integer not null,
  max_attempts integer not null,
  crashes integer not null,
  lease text not null,
  op text not null,
  rev integer not null,
  key text not null,
  trace text not null,
  errors text not null,
  reason text not null,
  result text not null default '',
  created_at integer not null,
  started_at integer not null,
  finished_at integer not null
) strict, without rowid;
--;;
create index archive_dead on archive (id) where state = 'dead';
--;;
create table register (key text not null primary key, digest text not null, job_id text not null, expires_at integer not null) strict, without rowid;
--;;
create table workers (
  id text not null primary key,
  name text not null,
  host text not null,
  pid integer not null,
  pid_start text not null,
  version text not null,
  queues text not null,
  state text not null constraint workers_state check (state in ('live','lost','stopped')),
  beat integer not null,
  started_at integer not null,
  seen_at integer not null
) strict, without rowid;
