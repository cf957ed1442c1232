-- params: text
-- Takes a job that is live again out of a group that has fired; primary keys.
delete from group_members
where job = $1 and ended <> '' and exists (select 1 from jobs j where j.id = group_members.job)
returning grp as detached
