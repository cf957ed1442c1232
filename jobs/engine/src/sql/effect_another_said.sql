-- params: text, text, int, text
-- Whether another person said the same of this try; effect_observations_effect.
select id from effect_observations
where effect = $1 and source = 'person' and verdict = $2 and try = $3 and actor <> $4
order by id
limit 1
