-- params: int
-- Pauses in force, in order of what they pause; reads the small table.
select id, what, value, who, why, until, created_at
from pauses
where until = 0 or until > $1
order by what, value
limit 1000
