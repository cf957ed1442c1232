-- params: text, int
-- Stamps the callbacks whose time has come, once; indexes groups_op and group_callbacks_grp_what.
update group_callbacks
set fired_at = $2, op = $1
where fired_at = 0 and id in (
  select c.id
  from groups g
  join group_callbacks c on c.grp = g.id
  where g.op = $1 and g.op <> '' and c.fired_at = 0
    and (c.what = 'dead' and g.dead > 0
      or c.what <> 'dead' and g.sealed = 1 and g.pending = 0 and (c.what = 'complete' or g.completed = g.children)))
