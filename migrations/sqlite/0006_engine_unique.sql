-- additive: a column each on jobs, archive and ops that binaries without unique policies leave empty, and a table
-- A live job holds the slot of its unique key. Every live state holds it, so no transition of a job can collide with another,
-- and the delete that ends a job frees it, whoever sends that.
alter table jobs add column unique_key text not null default '';
--;;
create unique index jobs_unique_key on jobs (unique_key) where unique_key <> '';
--;;
alter table archive add column unique_key text not null default '';
--;;
-- Which job stands for each row of an enqueue with unique keys: lines of `row's id, blank, job's id`.
alter table ops add column answer text not null default '';
--;;
-- The last job let through under a throttle, and when the next may be.
create table throttles (key text not null primary key, job_id text not null, free_at integer not null) strict, without rowid;
--;;
create index throttles_free_at on throttles (free_at);
