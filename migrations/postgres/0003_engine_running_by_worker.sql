-- additive: an index
-- The index of running jobs serves rescues, which look by worker. With `state = 'running'` as its predicate the planner also
-- took it for outcomes, which look by id, as long as the table was young.
drop index jobs_running;
create index jobs_running on jobs (worker) where worker <> '';
