-- params: text, text
-- Locks the limits that may concern a claim of queue $1 that runs kinds $2, all at once; primary key.
update limits set rev = rev + 1
where id in (
  select l.id
  from limits l
  where l.what in ('all', 'tenant') or l.what = 'queue' and l.value = $1
    or l.what = 'kind' and l.value in (select value from json_each($2)))
