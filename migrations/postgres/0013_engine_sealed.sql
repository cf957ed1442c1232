-- additive: a guard, indexes
-- Sealed args: those that wait under a key are found by index, and none may come to stand in a job it was not sealed for.
alter table engine_guard add column sealed_elsewhere bigint constraint sealed_elsewhere check (sealed_elsewhere is null);
create index jobs_sealed on jobs (id) where substr(args, 1, 7) = '{"enc":';
create index archive_sealed on archive (id) where substr(args, 1, 7) = '{"enc":';
create index group_callbacks_sealed on group_callbacks (id) where substr(args, 1, 7) = '{"enc":';
