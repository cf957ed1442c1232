-- params: text
-- The newest seal of a stream; primary key read backwards.
select s.seq, s.hash
from audit_seals s
where s.stream = $1
order by s.seq desc
limit 1
