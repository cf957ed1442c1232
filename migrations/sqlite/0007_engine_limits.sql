-- additive: two tables
-- How many may run at once, and how many may start in a time, with who said so, why and until when. A limit with an end
-- goes back to what it was before. What a rate limit has spent is a time per key: when it will be as if nothing had
-- been spent. A binary that never heard of limits claims past them.
create table limits (
  id text not null constraint limits_id primary key,
  what text not null constraint limits_what check (what in ('all','queue','kind','tenant')),
  value text not null,
  per text not null constraint limits_per check (per in ('','tenant')),
  measure text not null constraint limits_measure check (measure in ('running','rate')),
  cap integer not null constraint limits_cap check (cap > 0),
  every_us integer not null constraint limits_every_us check (every_us >= 0 and (measure = 'running' or every_us > 0)),
  until integer not null,
  then_cap integer not null default 0,
  then_every_us integer not null default 0,
  who text not null,
  why text not null,
  created_at integer not null,
  rev integer not null default 0,
  constraint limits_name unique (what, value, per, measure)
) strict, without rowid;
--;;
create table limit_uses (
  limit_id text not null,
  tenant text not null,
  free_at integer not null,
  constraint limit_uses_key primary key (limit_id, tenant)
) strict, without rowid;
