-- additive: columns, two tables, an index
-- What limits count by key, and how much a start weighs; rates that no window may exceed; queues that tenants share by
-- weight. A binary that never heard of them gives its jobs no key and a weight of one, and claims from shared queues in
-- order of rank.
alter table jobs add column limit_key text collate "C" not null default '';
alter table jobs add column units bigint not null default 1 constraint jobs_units check (units > 0);
alter table archive add column limit_key text collate "C" not null default '';
alter table archive add column units bigint not null default 1;
alter table group_callbacks add column limit_key text collate "C" not null default '';
alter table group_callbacks add column units bigint not null default 1;

alter table limits drop constraint limits_per;
alter table limits add constraint limits_per check (per in ('','tenant','key'));
alter table limits add column windowed bigint not null default 0 constraint limits_windowed check (windowed in (0, 1) and (windowed = 0 or measure = 'rate'));
alter table limits add column then_windowed bigint not null default 0;

create table limit_starts (
  limit_id text collate "C" not null,
  tenant text collate "C" not null,
  at bigint not null,
  op text collate "C" not null,
  units bigint not null,
  constraint limit_starts_key primary key (limit_id, tenant, at, op)
);
create index limit_starts_at on limit_starts (at);

create table shares (
  queue text collate "C" not null,
  tenant text collate "C" not null,
  weight bigint not null constraint shares_weight check (weight between 1 and 1000),
  who text collate "C" not null,
  why text collate "C" not null,
  created_at bigint not null,
  constraint shares_key primary key (queue, tenant)
);
create index jobs_shared on jobs (queue, tenant, rank, id) where state in ('scheduled','available','retryable');

alter table limit_starts enable row level security;
alter table shares enable row level security;
create policy worker_all on limit_starts to clawr_worker using (true) with check (true);
create policy worker_all on shares to clawr_worker using (true) with check (true);

grant select, insert, update, delete on limit_starts, shares to clawr_worker;
