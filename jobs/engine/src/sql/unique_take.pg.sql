-- params: text
-- Takes the slots of unique keys, sorted by key: who finds one free makes a job, a holder is locked as it is; index jobs_unique_key.
insert into jobs (id, kind, version, queue, state, tenant, args, tags, priority, run_at, rank, deadline, max_attempts, key, trace, created_at, limit_key, units, unique_key)
select w.maker, w.kind, w.version, w.queue, w.state, w.tenant, w.args, w.tags, w.priority, w.run_at, w.rank, w.deadline,
  w.max_attempts, w.maker_key, w.trace, w.created_at, w.limit_key, w.units, w.unique_key
from (
  select v.*, row_number() over (partition by v.unique_key order by v.turn) as place,
    first_value(v.id) over (partition by v.unique_key order by v.n) as maker,
    first_value(v.key) over (partition by v.unique_key order by v.n) as maker_key
  from json_to_recordset(cast($1 as json)) as v(id text, kind text, version bigint, queue text, state text, tenant text, args text, tags text,
    priority bigint, run_at bigint, rank bigint, deadline bigint, max_attempts bigint, key text, trace text, created_at bigint, reg text,
    limit_key text, units bigint, unique_key text, n bigint, turn bigint)
  where v.reg = '' or v.id = (select r.job_id from register r where r.key = decode(v.reg, 'hex'))) w
where w.place = 1
order by w.unique_key
on conflict (unique_key) where unique_key <> '' do update set unique_key = excluded.unique_key where false
