-- params: none
-- How many days ended jobs of each class are kept; primary key.
select class, days
from retention
order by class
limit 10
