-- The first slice of the business: tenants and their APIs, credentials, reported settlements, the ledger, the audit
-- trail. Append-only tables refuse what would rewrite them; their insert triggers abort on every unique key, because
-- REPLACE would slip past the delete trigger and IGNORE would double a balance silently.
create table app_guard (
  stale integer constraint stale check (stale is null),
  insufficient_funds integer constraint insufficient_funds check (insufficient_funds is null),
  account_missing integer constraint account_missing check (account_missing is null)
) strict;
--;;
create table tenants (
  id text not null primary key,
  slug text not null unique,
  name text not null,
  owner_id text not null default '',
  config text not null default '{}',
  digest text not null,
  created_at integer not null,
  updated_at integer not null
) strict, without rowid;
--;;
create table users (
  id text not null primary key,
  email text not null default '',
  wallet_address text not null default '',
  created_at integer not null
) strict, without rowid;
--;;
-- signing_secret is text as it is: envelope encryption comes with the secrets step
create table api_keys (
  id text not null primary key,
  kid text not null unique,
  user_id text not null default '',
  key_hash text not null,
  last4 text not null,
  scopes text not null,
  tenant_id text not null default '',
  require_signature integer not null default 0 constraint api_keys_require_signature check (require_signature in (0, 1)),
  signing_secret text not null default '',
  created_by text not null default '',
  expires_at integer not null default 0,
  last_used_at integer not null default 0,
  replaces text not null default '',
  created_at integer not null,
  revoked_at integer not null default 0
) strict, without rowid;
--;;
create table apis (
  id text not null primary key,
  tenant_id text not null,
  slug text not null,
  resource_type text not null constraint apis_resource_type check (resource_type in ('function','dataset','proxy')),
  price_micros integer not null constraint apis_price_micros check (price_micros between 0 and 9000000000000000),
  quota integer not null default 0 constraint apis_quota check (quota between 0 and 9000000000000000),
  digest text not null,
  created_at integer not null,
  updated_at integer not null,
  unique (tenant_id, slug)
) strict, without rowid;
--;;
create table settlements (
  id text not null primary key,
  network text not null,
  asset text not null,
  payer text not null,
  nonce text not null,
  tenant_id text not null,
  api_id text not null,
  amount_micros integer not null constraint settlements_amount_micros check (amount_micros between 1 and 9000000000000000),
  pay_to text not null,
  state text not null constraint settlements_state check (state in ('reported','unknown','confirmed','void')),
  outcome text not null constraint settlements_outcome check (outcome in ('success','pending','failure')),
  prev_outcome text not null default '',
  tx text not null default '',
  prev_tx text not null default '',
  error_reason text not null default '',
  resource_type text not null default '',
  caller_hash text not null default '',
  request_id text not null,
  reservation_id text not null default '',
  x402_version integer not null,
  scheme text not null default '',
  valid_after integer not null default 0,
  valid_before integer not null default 0,
  identity_verified integer not null default 0 constraint settlements_identity_verified check (identity_verified in (0, 1)),
  occurred_at integer not null,
  received_at integer not null,
  day text not null,
  event_id text not null,
  job_id text not null,
  entry_id text not null default '',
  op text not null,
  update_op text not null default '',
  rev integer not null default 1,
  unique (network, asset, payer, nonce)
) strict, without rowid;
--;;
create index settlements_tenant_id on settlements (tenant_id, id);
--;;
create table settlement_events (
  id text not null primary key,
  digest text not null,
  tenant_id text not null,
  network text not null,
  asset text not null,
  payer text not null,
  nonce text not null,
  outcome text not null,
  tx text not null default '',
  body text not null,
  received_at integer not null,
  op text not null
) strict;
--;;
create index settlement_events_nonce on settlement_events (nonce);
--;;
create table entries (
  id text not null primary key,
  key text not null unique,
  tenant_id text not null,
  type text not null,
  amount_micros integer not null constraint entries_amount_micros check (amount_micros between 1 and 9000000000000000),
  metadata text not null default '{}',
  created_at integer not null
) strict, without rowid;
--;;
CREATE TRIGGER entries_id_taken BEFORE INSERT ON entries WHEN EXISTS (SELECT 1 FROM entries WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'duplicate entries_id'); END;
--;;
CREATE TRIGGER entries_key_taken BEFORE INSERT ON entries WHEN EXISTS (SELECT 1 FROM entries WHERE key = NEW.key) BEGIN SELECT RAISE(ABORT, 'duplicate entries_key'); END;
--;;
CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END;
--;;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END;
--;;
create table legs (
  entry_id text not null,
  seq integer not null,
  tenant_id text not null,
  debit text not null,
  credit text not null,
  amount_micros integer not null constraint legs_amount_micros check (amount_micros between 1 and 9000000000000000),
  constraint legs_sides check (debit <> credit),
  primary key (entry_id, seq)
) strict, without rowid;
--;;
CREATE TRIGGER legs_entry_id_seq_taken BEFORE INSERT ON legs WHEN EXISTS (SELECT 1 FROM legs WHERE entry_id = NEW.entry_id AND seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'duplicate legs_entry_id_seq'); END;
--;;
CREATE TRIGGER legs_no_update BEFORE UPDATE ON legs BEGIN SELECT RAISE(ABORT, 'legs is append-only'); END;
--;;
CREATE TRIGGER legs_no_delete BEFORE DELETE ON legs BEGIN SELECT RAISE(ABORT, 'legs is append-only'); END;
--;;
create table accounts (
  id text not null primary key,
  tenant_id text not null,
  normal text not null constraint accounts_normal check (normal in ('debit','credit')),
  debits integer not null default 0,
  credits integer not null default 0,
  rev integer not null default 0,
  constraint account_bounds check (
    debits between 0 and 9000000000000000 and credits between 0 and 9000000000000000
    and ((normal = 'debit' and debits >= credits) or (normal = 'credit' and credits >= debits))
  )
) strict, without rowid;
--;;
create view ledger as select id, tenant_id, type, amount_micros as amount, metadata, key as idempotency_key, created_at from entries;
--;;
create table audit_log (
  id text not null primary key,
  stream text not null,
  user_id text not null default '',
  tenant_id text not null default '',
  action text not null,
  object text not null default '',
  metadata text not null default '{}',
  created_at integer not null
) strict, without rowid;
--;;
CREATE TRIGGER audit_log_id_taken BEFORE INSERT ON audit_log WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'duplicate audit_log_id'); END;
--;;
CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
--;;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
--;;
create table audit_unsealed (id text not null primary key, stream text not null) strict, without rowid;
--;;
create index audit_unsealed_stream on audit_unsealed (stream, id);
--;;
create table audit_seals (
  stream text not null,
  seq integer not null,
  entry_id text not null unique,
  prev text not null,
  hash text not null,
  primary key (stream, seq)
) strict, without rowid;
--;;
CREATE TRIGGER audit_seals_stream_seq_taken BEFORE INSERT ON audit_seals WHEN EXISTS (SELECT 1 FROM audit_seals WHERE stream = NEW.stream AND seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'duplicate audit_seals_stream_seq'); END;
--;;
CREATE TRIGGER audit_seals_entry_id_taken BEFORE INSERT ON audit_seals WHEN EXISTS (SELECT 1 FROM audit_seals WHERE entry_id = NEW.entry_id) BEGIN SELECT RAISE(ABORT, 'duplicate audit_seals_entry_id'); END;
--;;
CREATE TRIGGER audit_seals_no_update BEFORE UPDATE ON audit_seals BEGIN SELECT RAISE(ABORT, 'audit_seals is append-only'); END;
--;;
CREATE TRIGGER audit_seals_no_delete BEFORE DELETE ON audit_seals BEGIN SELECT RAISE(ABORT, 'audit_seals is append-only'); END;
