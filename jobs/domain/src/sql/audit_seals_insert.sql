-- params: text
-- Chains entries; the primary key (stream, seq) makes the slower of two sealers fail and start again.
insert into audit_seals (stream, seq, entry_id, prev, hash)
select v.value ->> 'stream', cast(v.value ->> 'seq' as bigint), v.value ->> 'entry_id', v.value ->> 'prev', v.value ->> 'hash'
from json_each($1) as v
order by cast(v.value ->> 'seq' as bigint)
