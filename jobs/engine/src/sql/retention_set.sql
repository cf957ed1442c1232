-- params: text, int
-- Changes how long a class is kept; primary key.
update retention
set days = $2
where class = $1 and days <> $2
returning class
