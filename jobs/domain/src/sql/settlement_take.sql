-- params: text
-- Locks settlements for posting and names their entry, if nobody has changed them since they were read; primary key.
update settlements
set entry_id = v.value ->> 'entry_id',
  rev = settlements.rev + 1
from json_each($1) as v
where settlements.id = v.value ->> 'settlement_id'
  and settlements.rev = cast(v.value ->> 'rev' as bigint)
  and settlements.entry_id = ''
