-- additive: columns, two tables, an index
-- What limits count by key, and how much a start weighs; rates that no window may exceed; queues that tenants share by
-- weight. A binary that never heard of them gives its jobs no key and a weight of one, and claims from shared queues in
-- order of rank.
alter table jobs add column limit_key text not null default '';
--;;
alter table jobs add column units integer not null default 1 constraint jobs_units check (units > 0);
--;;
alter table archive add column limit_key text not null default '';
--;;
alter table archive add column units integer not null default 1;
--;;
alter table group_callbacks add column limit_key text not null default '';
--;;
alter table group_callbacks add column units integer not null default 1;
--;;
create table limits_by_key (
  id text not null constraint limits_id primary key,
  what text not null constraint limits_what check (what in ('all','queue','kind','tenant')),
  value text not null,
  per text not null constraint limits_per check (per in ('','tenant','key')),
  measure text not null constraint limits_measure check (measure in ('running','rate')),
  cap integer not null constraint limits_cap check (cap > 0),
  every_us integer not null constraint limits_every_us check (every_us >= 0 and (measure = 'running' or every_us > 0)),
  until integer not null,
  then_cap integer not null default 0,
  then_every_us integer not null default 0,
  who text not null,
  why text not null,
  created_at integer not null,
  rev integer not null default 0,
  windowed integer not null default 0 constraint limits_windowed check (windowed in (0, 1) and (windowed = 0 or measure = 'rate')),
  then_windowed integer not null default 0,
  constraint limits_name unique (what, value, per, measure)
) strict, without rowid;
--;;
insert into limits_by_key (id, what, value, per, measure, cap, every_us, until, then_cap, then_every_us, who, why, created_at, rev)
select id, what, value, per, measure, cap, every_us, until, then_cap, then_every_us, who, why, created_at, rev from limits;
--;;
drop table limits;
--;;
alter table limits_by_key rename to limits;
--;;
create table limit_starts (
  limit_id text not null,
  tenant text not null,
  at integer not null,
  op text not null,
  units integer not null,
  constraint limit_starts_key primary key (limit_id, tenant, at, op)
) strict, without rowid;
--;;
create index limit_starts_at on limit_starts (at);
--;;
create table shares (
  queue text not null,
  tenant text not null,
  weight integer not null constraint shares_weight check (weight between 1 and 1000),
  who text not null,
  why text not null,
  created_at integer not null,
  constraint shares_key primary key (queue, tenant)
) strict, without rowid;
--;;
create index jobs_shared on jobs (queue, tenant, rank, id) where state in ('scheduled','available','retryable');
