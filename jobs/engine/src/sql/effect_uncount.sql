-- params: text, text, text
-- Counts the effect this commit settled as open no longer; primary keys.
update jobs set open_effects = open_effects - 1
where id = $1 and open_effects > 0
  and exists (select 1 from effects where id = $2 and op = $3 and state in ('confirmed', 'rejected', 'absent'))
