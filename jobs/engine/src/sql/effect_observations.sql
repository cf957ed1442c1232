-- params: text, text
-- What was observed of an effect, within a scope, newest first; effect_observations_effect.
select id, source, actor, verdict, try, evidence, at
from effect_observations
where ($1 = '*' or tenant = $1) and effect = $2
order by id desc
limit 200
