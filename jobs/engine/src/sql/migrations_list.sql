-- params: none
-- Which migrations are applied, in order of names; primary key.
select name, checksum from schema_migrations order by name limit 1000
