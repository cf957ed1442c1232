-- params: text
-- Intends again what is known not to have happened, as it is to be done now; effects_key.
update effects
set state = 'intended', job = v.value ->> 'job', kind = v.value ->> 'kind', class = v.value ->> 'class',
  money = cast(v.value ->> 'money' as bigint), intent = v.value ->> 'intent', evidence = '', lease = v.value ->> 'lease',
  op = v.value ->> 'op', start_by = cast(v.value ->> 'start_by' as bigint), open_since = cast(v.value ->> 'now' as bigint),
  settled_at = 0, tries = effects.tries + 1, rev = effects.rev + 1
from json_each($1) as v
where effects.key = v.value ->> 'key' and effects.tenant = v.value ->> 'tenant'
  and effects.state = 'absent' and effects.op <> v.value ->> 'op'
