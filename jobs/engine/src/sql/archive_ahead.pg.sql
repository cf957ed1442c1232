-- params: none
-- Makes the partitions of the days and years to come; their names.
select leaf
from archive_ahead() as leaf
order by leaf
