-- params: text, text, text
-- The first dead job that stops a sequence of the scope; index sequence_stops_key.
select s.job
from sequence_stops s
where ($1 = '*' or s.tenant = $1) and s.tenant = $2 and s.key = $3
order by s.no
limit 1
