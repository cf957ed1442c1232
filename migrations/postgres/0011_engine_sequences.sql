-- additive: columns on jobs and archive that binaries without sequences leave as they are, and two tables
-- Jobs of one tenant and sequence run one after the other in the order of their numbers. Whoever makes one, ends one or brings
-- one back updates the row of the sequence first: its numbers come from there. Of a sequence's live jobs one at most is not
-- blocked. Numbers begin with the time at which a row is made, so that one that was forgotten counts on.
alter table jobs add column sequence text collate "C" not null default '';
alter table jobs add column seq_no bigint not null default 0;
alter table jobs add column seq_passes bigint not null default 0;
create index jobs_sequence_blocked on jobs (tenant, sequence, seq_no) where state = 'blocked';
create unique index jobs_sequence_active on jobs (tenant, sequence) where sequence <> '' and state <> 'blocked';
alter table archive add column sequence text collate "C" not null default '';
alter table archive add column seq_no bigint not null default 0;
alter table archive add column seq_passes bigint not null default 0;

create table sequences (
  tenant text collate "C" not null,
  key text collate "C" not null,
  next bigint not null,
  day bigint not null,
  constraint sequences_key primary key (tenant, key)
) with (fillfactor = 70);
create index sequences_day on sequences (day);

-- Dead jobs that nothing of their sequence may overtake until somebody has decided about them.
create table sequence_stops (
  job text collate "C" not null constraint sequence_stops_job primary key,
  tenant text collate "C" not null,
  key text collate "C" not null,
  no bigint not null,
  at bigint not null
);
create index sequence_stops_key on sequence_stops (tenant, key, no);

alter table sequences enable row level security;
alter table sequence_stops enable row level security;
create policy worker_all on sequences to clawr_worker using (true) with check (true);
create policy worker_all on sequence_stops to clawr_worker using (true) with check (true);
create policy tenant_only on sequences to clawr_app using (tenant = current_setting('app.tenant', true)) with check (tenant = current_setting('app.tenant', true));
create policy tenant_only on sequence_stops to clawr_app using (tenant = current_setting('app.tenant', true)) with check (tenant = current_setting('app.tenant', true));
grant select, insert, update, delete on sequences, sequence_stops to clawr_worker;
grant select, insert, update on sequences to clawr_app;
grant select, delete on sequence_stops to clawr_app;
