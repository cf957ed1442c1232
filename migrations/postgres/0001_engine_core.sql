-- The queue: live jobs narrow and hot, ended ones in the archive, identities in the register. Nothing here knows a
-- business word. The login role owns these tables; clawr_worker and clawr_app only use them.
do $$ begin
  if not exists (select 1 from pg_roles where rolname = 'clawr_worker') then create role clawr_worker nologin; end if;
  if not exists (select 1 from pg_roles where rolname = 'clawr_app') then create role clawr_app nologin; end if;
exception when duplicate_object or unique_violation then null;
end $$;
do $$ begin
  execute format('grant clawr_worker, clawr_app to %I', current_user);
  execute format('grant usage on schema %I to clawr_worker, clawr_app', current_schema());
end $$;

create table if not exists schema_migrations (name text collate "C" not null constraint schema_migrations_name primary key, checksum text not null, applied_at bigint not null);

create function json_each(input text) returns table (value jsonb) language sql immutable strict parallel safe rows 10
  as $$ select e from jsonb_array_elements(cast(input as jsonb)) e $$;

create table engine_guard (
  lease_lost bigint constraint lease_lost check (lease_lost is null),
  not_claimable bigint constraint not_claimable check (not_claimable is null)
);

create table ops (id text collate "C" not null constraint ops_id primary key, at bigint not null);
create index ops_at on ops (at);

create table jobs (
  id text collate "C" not null constraint jobs_id primary key,
  kind text collate "C" not null,
  version bigint not null,
  queue text collate "C" not null,
  state text collate "C" not null constraint jobs_state check (state in ('scheduled','available','running','retryable','waiting','blocked','held')),
  tenant text collate "C" not null default '',
  args text collate "C" not null,
  tags text collate "C" not null default '[]',
  priority bigint not null,
  run_at bigint not null,
  rank bigint not null,
  deadline bigint not null default 0,
  attempt bigint not null default 0,
  max_attempts bigint not null,
  crashes bigint not null default 0,
  reruns bigint not null default 0,
  lease text collate "C" not null default '',
  worker text collate "C" not null default '',
  op text collate "C" not null default '',
  rev bigint not null default 0,
  open_effects bigint not null default 0 constraint open_effects check (open_effects >= 0),
  cancel_asked bigint not null default 0,
  key text collate "C" not null default '',
  trace text collate "C" not null default '',
  errors text collate "C" not null default '[]',
  reason text collate "C" not null default '',
  created_at bigint not null,
  started_at bigint not null default 0
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
create index jobs_claim on jobs (queue, rank, id) where state in ('scheduled','available','retryable');
create index jobs_running on jobs (worker) where state = 'running';

create table archive (
  id text collate "C" not null constraint archive_id primary key,
  kind text collate "C" not null,
  version bigint not null,
  queue text collate "C" not null,
  state text collate "C" not null constraint archive_state check (state in ('completed','cancelled','dead')),
  tenant text collate "C" not null,
  args text collate "C" not null,
  tags text collate "C" not null,
  priority bigint not null,
  run_at bigint not null,
  deadline bigint not null,
  attempt bigint not null,
  max_attempts bigint not null,
  crashes bigint not null,
  lease text collate "C" not null,
  op text collate "C" not null,
  rev bigint not null,
  key text collate "C" not null,
  trace text collate "C" not null,
  errors text collate "C" not null,
  reason text collate "C" not null,
  result text collate "C" not null default '',
  created_at bigint not null,
  started_at bigint not null,
  finished_at bigint not null
);
create index archive_dead on archive (id) where state = 'dead';

create table register (key bytea not null constraint register_key primary key, digest bytea not null, job_id text collate "C" not null, expires_at bigint not null);

create table workers (
  id text collate "C" not null constraint workers_id primary key,
  name text collate "C" not null,
  host text collate "C" not null,
  pid bigint not null,
  pid_start text collate "C" not null,
  version text collate "C" not null,
  queues text collate "C" not null,
  state text collate "C" not null constraint workers_state check (state in ('live','lost','stopped')),
  beat bigint not null,
  started_at bigint not null,
  seen_at bigint not null
);

alter table jobs enable row level security;
alter table archive enable row level security;
create policy worker_all on jobs to clawr_worker using (true) with check (true);
create policy worker_all on archive to clawr_worker using (true) with check (true);
create policy tenant_only on jobs to clawr_app using (tenant = current_setting('app.tenant', true)) with check (tenant = current_setting('app.tenant', true));
create policy tenant_only on archive to clawr_app using (tenant = current_setting('app.tenant', true)) with check (tenant = current_setting('app.tenant', true));

grant select, insert, update, delete on jobs, archive, register, ops, workers to clawr_worker;
grant insert on engine_guard to clawr_worker, clawr_app;
grant select on schema_migrations to clawr_worker, clawr_app;
grant select, insert, update, delete on jobs, archive to clawr_app;
grant select, insert on register, ops to clawr_app;
