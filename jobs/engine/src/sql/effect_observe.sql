-- params: text, text, text, text, text, int, text, int
-- Keeps what was observed of an effect, with its tenant; primary keys.
insert into effect_observations (id, effect, tenant, source, actor, verdict, try, evidence, at)
select $1, e.id, e.tenant, $3, $4, $5, $6, $7, $8 from effects e where e.id = $2
