-- params: int
-- Keeps one snapshot for so many seconds, as a long report or a forgotten transaction does; no table is read.
select pg_sleep(cast($1 as double precision))
