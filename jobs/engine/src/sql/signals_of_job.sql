-- params: text, text, text
-- The signals of one slot that a job has taken, oldest first; index signals_taken.
select tenant, id, name, key, payload, sender, at, made_by, taken_by
from signals
where taken_by = $1 and taken_by <> '' and name = $2 and key = $3
order by taken_at, at, id
