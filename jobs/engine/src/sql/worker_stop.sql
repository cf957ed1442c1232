-- params: text
-- A worker that stopped gracefully; primary key.
update workers set state = 'stopped', beat = beat + 1 where id = $1 and state = 'live'
