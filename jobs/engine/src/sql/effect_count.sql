-- params: text, text, text
-- Counts the effect this commit intended as open with its job; primary key and effects_key.
update jobs set open_effects = open_effects + 1
where id = $1 and exists (select 1 from effects where key = $2 and op = $3 and state = 'intended')
