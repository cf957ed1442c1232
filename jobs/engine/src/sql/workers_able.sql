-- params: none
-- Live workers with what they serve and what they can run; few rows, primary key.
select id, queues, runnable from workers where state = 'live' order by id limit 1000
