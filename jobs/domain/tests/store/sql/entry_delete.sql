-- params: none
-- What nobody may do.
delete from entries
