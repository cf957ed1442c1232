-- The first slice of the business: tenants and their APIs, credentials, reported settlements, the ledger, the audit
-- trail. Append-only tables are kept so twice: by grants that give nobody an update, and by triggers for whoever owns
-- them. Row security shows one tenant's rows to clawr_app and all to clawr_worker.
create table app_guard (
  stale bigint constraint stale check (stale is null),
  insufficient_funds bigint constraint insufficient_funds check (insufficient_funds is null),
  account_missing bigint constraint account_missing check (account_missing is null)
);

create table tenants (
  id text collate "C" not null constraint tenants_id primary key,
  slug text collate "C" not null constraint tenants_slug unique,
  name text collate "C" not null,
  owner_id text collate "C" not null default '',
  config text collate "C" not null default '{}',
  digest text collate "C" not null,
  created_at bigint not null,
  updated_at bigint not null
);

create table users (
  id text collate "C" not null constraint users_id primary key,
  email text collate "C" not null default '',
  wallet_address text collate "C" not null default '',
  created_at bigint not null
);

-- signing_secret is text as it is: envelope encryption comes with the secrets step
create table api_keys (
  id text collate "C" not null constraint api_keys_id primary key,
  kid text collate "C" not null constraint api_keys_kid unique,
  user_id text collate "C" not null default '',
  key_hash text collate "C" not null,
  last4 text collate "C" not null,
  scopes text collate "C" not null,
  tenant_id text collate "C" not null default '',
  require_signature bigint not null default 0 constraint api_keys_require_signature check (require_signature in (0, 1)),
  signing_secret text collate "C" not null default '',
  created_by text collate "C" not null default '',
  expires_at bigint not null default 0,
  last_used_at bigint not null default 0,
  replaces text collate "C" not null default '',
  created_at bigint not null,
  revoked_at bigint not null default 0
);

create table apis (
  id text collate "C" not null constraint apis_id primary key,
  tenant_id text collate "C" not null,
  slug text collate "C" not null,
  resource_type text collate "C" not null constraint apis_resource_type check (resource_type in ('function','dataset','proxy')),
  price_micros bigint not null constraint apis_price_micros check (price_micros between 0 and 9000000000000000),
  quota bigint not null default 0 constraint apis_quota check (quota between 0 and 9000000000000000),
  digest text collate "C" not null,
  created_at bigint not null,
  updated_at bigint not null,
  constraint apis_tenant_id_slug unique (tenant_id, slug)
);

create table settlements (
  id text collate "C" not null constraint settlements_id primary key,
  network text collate "C" not null,
  asset text collate "C" not null,
  payer text collate "C" not null,
  nonce text collate "C" not null,
  tenant_id text collate "C" not null,
  api_id text collate "C" not null,
  amount_micros bigint not null constraint settlements_amount_micros check (amount_micros between 1 and 9000000000000000),
  pay_to text collate "C" not null,
  state text collate "C" not null constraint settlements_state check (state in ('reported','unknown','confirmed','void')),
  outcome text collate "C" not null constraint settlements_outcome check (outcome in ('success','pending','failure')),
  prev_outcome text collate "C" not null default '',
  tx text collate "C" not null default '',
  prev_tx text collate "C" not null default '',
  error_reason text collate "C" not null default '',
  resource_type text collate "C" not null default '',
  caller_hash text collate "C" not null default '',
  request_id text collate "C" not null,
  reservation_id text collate "C" not null default '',
  x402_version bigint not null,
  scheme text collate "C" not null default '',
  valid_after bigint not null default 0,
  valid_before bigint not null default 0,
  identity_verified bigint not null default 0 constraint settlements_identity_verified check (identity_verified in (0, 1)),
  occurred_at bigint not null,
  received_at bigint not null,
  day text collate "C" not null,
  event_id text collate "C" not null,
  job_id text collate "C" not null,
  entry_id text collate "C" not null default '',
  op text collate "C" not null,
  update_op text collate "C" not null default '',
  rev bigint not null default 1,
  constraint settlements_network_asset_payer_nonce unique (network, asset, payer, nonce)
);

create index settlements_tenant_id on settlements (tenant_id, id);

create table settlement_events (
  id text collate "C" not null constraint settlement_events_id primary key,
  digest text collate "C" not null,
  tenant_id text collate "C" not null,
  network text collate "C" not null,
  asset text collate "C" not null,
  payer text collate "C" not null,
  nonce text collate "C" not null,
  outcome text collate "C" not null,
  tx text collate "C" not null default '',
  body text collate "C" not null,
  received_at bigint not null,
  op text collate "C" not null
);

create index settlement_events_nonce on settlement_events (nonce);

create table entries (
  id text collate "C" not null constraint entries_id primary key,
  key text collate "C" not null constraint entries_key unique,
  tenant_id text collate "C" not null,
  type text collate "C" not null,
  amount_micros bigint not null constraint entries_amount_micros check (amount_micros between 1 and 9000000000000000),
  metadata text collate "C" not null default '{}',
  created_at bigint not null
);

create table legs (
  entry_id text collate "C" not null,
  seq bigint not null,
  tenant_id text collate "C" not null,
  debit text collate "C" not null,
  credit text collate "C" not null,
  amount_micros bigint not null constraint legs_amount_micros check (amount_micros between 1 and 9000000000000000),
  constraint legs_sides check (debit <> credit),
  constraint legs_entry_id_seq primary key (entry_id, seq)
);

create table accounts (
  id text collate "C" not null constraint accounts_id primary key,
  tenant_id text collate "C" not null,
  normal text collate "C" not null constraint accounts_normal check (normal in ('debit','credit')),
  debits bigint not null default 0,
  credits bigint not null default 0,
  rev bigint not null default 0,
  constraint account_bounds check (
    debits between 0 and 9000000000000000 and credits between 0 and 9000000000000000
    and ((normal = 'debit' and debits >= credits) or (normal = 'credit' and credits >= debits))
  )
) with (fillfactor = 20);

create view ledger with (security_invoker = true) as select id, tenant_id, type, amount_micros as amount, metadata, key as idempotency_key, created_at from entries;

create table audit_log (
  id text collate "C" not null constraint audit_log_id primary key,
  stream text collate "C" not null,
  user_id text collate "C" not null default '',
  tenant_id text collate "C" not null default '',
  action text collate "C" not null,
  object text collate "C" not null default '',
  metadata text collate "C" not null default '{}',
  created_at bigint not null
);

create table audit_unsealed (id text collate "C" not null constraint audit_unsealed_id primary key, stream text collate "C" not null);

create index audit_unsealed_stream on audit_unsealed (stream, id);

create table audit_seals (
  stream text collate "C" not null,
  seq bigint not null,
  entry_id text collate "C" not null constraint audit_seals_entry_id unique,
  prev text collate "C" not null,
  hash text collate "C" not null,
  constraint audit_seals_stream_seq primary key (stream, seq)
);

create function append_only() returns trigger language plpgsql as $$ begin raise exception '% is append-only', tg_table_name; end $$;
create trigger entries_no_rewrite before update or delete on entries for each row execute function append_only();
create trigger entries_no_truncate before truncate on entries for each statement execute function append_only();
create trigger legs_no_rewrite before update or delete on legs for each row execute function append_only();
create trigger legs_no_truncate before truncate on legs for each statement execute function append_only();
create trigger audit_log_no_rewrite before update or delete on audit_log for each row execute function append_only();
create trigger audit_log_no_truncate before truncate on audit_log for each statement execute function append_only();
create trigger audit_seals_no_rewrite before update or delete on audit_seals for each row execute function append_only();
create trigger audit_seals_no_truncate before truncate on audit_seals for each statement execute function append_only();

alter table tenants enable row level security;
alter table api_keys enable row level security;
alter table apis enable row level security;
alter table settlements enable row level security;
alter table settlement_events enable row level security;
alter table entries enable row level security;
alter table legs enable row level security;
alter table accounts enable row level security;
alter table audit_log enable row level security;
create policy worker_all on tenants to clawr_worker using (true) with check (true);
create policy worker_all on api_keys to clawr_worker using (true) with check (true);
create policy worker_all on apis to clawr_worker using (true) with check (true);
create policy worker_all on settlements to clawr_worker using (true) with check (true);
create policy worker_all on settlement_events to clawr_worker using (true) with check (true);
create policy worker_all on entries to clawr_worker using (true) with check (true);
create policy worker_all on legs to clawr_worker using (true) with check (true);
create policy worker_all on accounts to clawr_worker using (true) with check (true);
create policy worker_all on audit_log to clawr_worker using (true) with check (true);
create policy tenant_only on tenants to clawr_app using (id = current_setting('app.tenant', true)) with check (id = current_setting('app.tenant', true));
create policy tenant_only on api_keys to clawr_app using (tenant_id = current_setting('app.tenant', true)) with check (tenant_id = current_setting('app.tenant', true));
create policy tenant_only on apis to clawr_app using (tenant_id = current_setting('app.tenant', true)) with check (tenant_id = current_setting('app.tenant', true));
create policy tenant_only on settlements to clawr_app using (tenant_id = current_setting('app.tenant', true)) with check (tenant_id = current_setting('app.tenant', true));
create policy tenant_only on settlement_events to clawr_app using (tenant_id = current_setting('app.tenant', true)) with check (tenant_id = current_setting('app.tenant', true));
create policy tenant_only on entries to clawr_app using (tenant_id = current_setting('app.tenant', true)) with check (tenant_id = current_setting('app.tenant', true));
create policy tenant_only on legs to clawr_app using (tenant_id = current_setting('app.tenant', true)) with check (tenant_id = current_setting('app.tenant', true));
create policy tenant_only on accounts to clawr_app using (tenant_id = current_setting('app.tenant', true)) with check (tenant_id = current_setting('app.tenant', true));
create policy tenant_only on audit_log to clawr_app using (tenant_id = current_setting('app.tenant', true)) with check (tenant_id = current_setting('app.tenant', true));

grant insert on app_guard to clawr_worker, clawr_app;
grant select, insert, update, delete on tenants, users, api_keys, apis, settlements, settlement_events to clawr_worker;
grant select, insert, update on accounts to clawr_worker, clawr_app;
grant select, insert on entries, legs, audit_log to clawr_worker, clawr_app;
grant select on ledger to clawr_worker, clawr_app;
grant select, insert, delete on audit_unsealed to clawr_worker;
grant insert on audit_unsealed to clawr_app;
grant select, insert on audit_seals to clawr_worker;
grant select on tenants, settlements, settlement_events to clawr_app;
grant select, insert, update on apis, api_keys to clawr_app;
