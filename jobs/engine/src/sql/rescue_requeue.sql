-- params: text, int, int, text
-- Takes the running jobs of a worker that is not live: quarantine after too many crashes, held with open effects, else available; index jobs_running.
update jobs
set state = case when open_effects > 0 or (crashes + $2 >= $3 and queue <> 'effects') then 'held' else 'available' end,
  reason = case when open_effects > 0 then 'effect' when crashes + $2 >= $3 and queue <> 'effects' then 'quarantine' else 'rescued' end,
  crashes = crashes + $2,
  attempt = case when $2 = 1 then attempt else attempt - 1 end,
  lease = '', worker = '', op = $4, rev = rev + 1
where worker = $1 and worker <> '' and state = 'running'
  and not exists (select 1 from workers w where w.id = $1 and w.state = 'live')
returning id, queue, state
