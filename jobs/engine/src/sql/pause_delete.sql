-- params: text, text
-- Ends a pause; unique key pauses_what_value.
delete from pauses where what = $1 and value = $2 returning id, what, value, who, why, until, created_at
