-- params: text, text
-- Locks the limits that may concern a claim of queue $1 that runs kinds $2, in order of ids; primary key.
update limits set rev = rev + 1
where id = any(array(
  select l.id
  from limits l
  where l.what in ('all', 'tenant') or l.what = 'queue' and l.value = $1
    or l.what = 'kind' and l.value = any(array(select json_array_elements_text(cast($2 as json))))
  order by l.id
  for update))
