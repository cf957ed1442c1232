-- params: none
-- What autovacuum does of itself within a minute: the whole table.
vacuum (analyze) jobs
