-- params: none
-- How many entries of settlements and how many posted settlements there are, in one snapshot; two scans.
select (select count(*) from entries e where e.type = 'settlement') as entries,
  (select count(*) from settlements s where s.entry_id <> '') as settlements
