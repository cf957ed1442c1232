-- params: text
-- Drops a partition and counts what it held; null where something in it must stay. The database judges.
select archive_drop($1) as jobs
