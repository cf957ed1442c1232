-- params: text, text, text, text, int, text, int
-- Opens a finding if what was observed contradicts what another commit settled, or confirms a try whose absence was proven; primary key.
insert into findings (id, what, object, tenant, detail, op, created_at)
select $1, 'effect_contradiction', e.id, e.tenant, $6, $3, $7
from effects e
where e.id = $2 and e.op <> $3
  and ((e.state in ('confirmed', 'rejected') and $4 in ('confirmed', 'rejected') and e.state <> $4)
    or (e.class = 'provable' and $4 = 'confirmed' and (e.state = 'absent' or e.tries > $5)))
