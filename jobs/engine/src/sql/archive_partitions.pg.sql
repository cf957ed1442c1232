-- params: none
-- The partitions whose time lies further back than their class is kept; the catalogue.
select leaf, class, from_id, to_id
from archive_partitions()
where is_over = 1
order by leaf
limit 1000
