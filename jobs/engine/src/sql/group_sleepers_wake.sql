-- params: text, int, int, text
-- Makes the jobs due that sleep until a group is over which this operation has locked; groups_op, waits_slot and primary keys.
update jobs
set state = 'available', reason = 'group', run_at = $2, rank = $2 + priority * $3, rev = rev + 1
where state in ('waiting', 'scheduled') and id in (
  select w.job
  from groups g
  join waits w on w.tenant = g.tenant and w.name = $4 and w.key = g.id
  join jobs j on j.id = w.job
  where g.op = $1 and g.op <> '' and g.sealed = 1 and g.pending = 0 and j.op = w.op)
returning id, queue
