-- params: text, int
-- Declares a worker dead if its beat is still the one that was watched; primary key.
update workers set state = 'lost' where id = $1 and beat = $2 and state = 'live'
