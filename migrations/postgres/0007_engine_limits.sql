-- additive: two tables
-- How many may run at once, and how many may start in a time, with who said so, why and until when. A limit with an end
-- goes back to what it was before. What a rate limit has spent is a time per key: when it will be as if nothing had
-- been spent. A binary that never heard of limits claims past them.
create table limits (
  id text collate "C" not null constraint limits_id primary key,
  what text collate "C" not null constraint limits_what check (what in ('all','queue','kind','tenant')),
  value text collate "C" not null,
  per text collate "C" not null constraint limits_per check (per in ('','tenant')),
  measure text collate "C" not null constraint limits_measure check (measure in ('running','rate')),
  cap bigint not null constraint limits_cap check (cap > 0),
  every_us bigint not null constraint limits_every_us check (every_us >= 0 and (measure = 'running' or every_us > 0)),
  until bigint not null,
  then_cap bigint not null default 0,
  then_every_us bigint not null default 0,
  who text collate "C" not null,
  why text collate "C" not null,
  created_at bigint not null,
  rev bigint not null default 0,
  constraint limits_name unique (what, value, per, measure)
);

create table limit_uses (
  limit_id text collate "C" not null,
  tenant text collate "C" not null,
  free_at bigint not null,
  constraint limit_uses_key primary key (limit_id, tenant)
);

alter table limits enable row level security;
alter table limit_uses enable row level security;
create policy worker_all on limits to clawr_worker using (true) with check (true);
create policy worker_all on limit_uses to clawr_worker using (true) with check (true);

grant select, insert, update, delete on limits, limit_uses to clawr_worker;
