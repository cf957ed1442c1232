-- params: text, text, int
-- Forgets the input's jobs that are of this class and ended before; primary key.
delete from archive
where id in (select v.value ->> 'id' from json_each($1) as v)
  and class = $2 and finished_at < $3 and (state <> 'dead' or reason = 'erased')
returning id as forgotten
