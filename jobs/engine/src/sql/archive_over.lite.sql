-- params: text, int, int
-- Some jobs of this class that ended before; index archive_finished.
select id
from archive
where class = $1 and finished_at < $2 and (state <> 'dead' or reason = 'erased')
order by finished_at
limit $3
