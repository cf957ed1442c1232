-- params: int
-- Forgets the callbacks of old groups that are over; index groups_at.
delete from group_callbacks where grp in (select g.id from groups g where g.at < $1 and g.sealed = 1 and g.pending = 0)
