-- params: text
-- Takes the entries sealed by this commit off the list; primary key.
delete from audit_unsealed
where id in (select v.value ->> 'entry_id' from json_each($1) as v)
