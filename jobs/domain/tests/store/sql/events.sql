-- params: none
-- Stored messages; a scan.
select 'events' as name, count(*) as n
from settlement_events e
