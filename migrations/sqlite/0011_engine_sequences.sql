-- additive: columns on jobs and archive that binaries without sequences leave as they are, and two tables
-- Jobs of one tenant and sequence run one after the other in the order of their numbers. Whoever makes one, ends one or brings
-- one back updates the row of the sequence first: its numbers come from there. Of a sequence's live jobs one at most is not
-- blocked. Numbers begin with the time at which a row is made, so that one that was forgotten counts on.
alter table jobs add column sequence text not null default '';
--;;
alter table jobs add column seq_no integer not null default 0;
--;;
alter table jobs add column seq_passes integer not null default 0;
--;;
create index jobs_sequence_blocked on jobs (tenant, sequence, seq_no) where state = 'blocked';
--;;
create unique index jobs_sequence_active on jobs (tenant, sequence) where sequence <> '' and state <> 'blocked';
--;;
alter table archive add column sequence text not null default '';
--;;
alter table archive add column seq_no integer not null default 0;
--;;
alter table archive add column seq_passes integer not null default 0;
--;;
create table sequences (
  tenant text not null,
  key text not null,
  next integer not null,
  day integer not null,
  constraint sequences_key primary key (tenant, key)
) strict, without rowid;
--;;
create index sequences_day on sequences (day);
--;;
-- Dead jobs that nothing of their sequence may overtake until somebody has decided about them.
create table sequence_stops (
  job text not null constraint sequence_stops_job primary key,
  tenant text not null,
  key text not null,
  no integer not null,
  at integer not null
) strict, without rowid;
--;;
create index sequence_stops_key on sequence_stops (tenant, key, no);
