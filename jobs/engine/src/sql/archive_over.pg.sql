-- params: text, int, int
-- Some jobs of this class that ended before and are in no partition that will be dropped as a whole; indexes archive_finished.
select o.id
from archive_over($1, $2, $3) as o(id)
