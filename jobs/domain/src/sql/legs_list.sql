-- params: text, text
-- The legs of the entries of a page, within a scope; primary key.
select l.entry_id, l.seq, l.debit, l.credit, l.amount_micros
from json_each($2) as v
join legs l on l.entry_id = v.value ->> 'id'
where ($1 = '*' or l.tenant_id = $1)
order by l.entry_id, l.seq
limit 10000
