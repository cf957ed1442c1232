-- params: text, text
-- The live job that holds the slot an archived job of the scope had; primary key, index jobs_unique_key.
select j.id
from archive a
cross join jobs j
where ($1 = '*' or a.tenant = $1) and a.id = $2 and j.unique_key = a.unique_key and j.unique_key <> ''
