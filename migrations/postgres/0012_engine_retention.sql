-- additive: a column, a table, partitions and functions; older binaries archive into the class that is kept longest
-- How long ended jobs are kept. The archive is a list of classes: `short`, in partitions of a day; `long`, in partitions of a
-- year; `dead`, until an operator acts. The days and years are those of the jobs' creation, which their ids hold; a job
-- whose id is in none of them has a place in its class all the same. Only the functions below make and drop partitions.
alter table archive rename to archive_before;
alter table archive_before rename constraint archive_id to archive_before_id;
drop index archive_dead;
alter table archive_before add column class text collate "C" not null default 'long' constraint archive_class check (class in ('short','long','dead'));

create table archive (like archive_before including all excluding indexes) partition by list (class);
alter table archive add constraint archive_id primary key (id, class);
create index archive_dead on archive (id) where state = 'dead';
-- rows lie in the order of their endings, so this costs next to nothing and finds what has ended since
create index archive_finished on archive using brin (finished_at) with (pages_per_range = 32, autosummarize = on);
create table archive_short partition of archive for values in ('short') partition by range (id);
create table archive_long partition of archive for values in ('long') partition by range (id);
create table archive_kept_dead partition of archive for values in ('dead');
create table archive_short_other partition of archive_short default;
create table archive_long_other partition of archive_long default;

alter table archive enable row level security;
create policy worker_all on archive to clawr_worker using (true) with check (true);
create policy tenant_only on archive to clawr_app using (tenant = current_setting('app.tenant', true)) with check (tenant = current_setting('app.tenant', true));
grant select, insert, update, delete on archive to clawr_worker, clawr_app;

-- Days after its ending that a job of a class is kept. Nothing is allowed that would forget money within a year.
create table retention (
  class text collate "C" not null constraint retention_class primary key,
  days bigint not null,
  constraint retention_days check ((class = 'short' and days between 1 and 90) or (class = 'long' and days between 365 and 36500))
);
insert into retention (class, days) values ('short', 7), ('long', 3650);
grant select, update on retention to clawr_worker;

-- The smallest id of a job made at this time or later.
create function archive_edge(at timestamptz) returns text language sql immutable strict
  as $$ select 'job_' || substr(h, 1, 8) || '-' || substr(h, 9, 4) from (select lpad(to_hex(cast(extract(epoch from at) * 1000 as bigint)), 12, '0') as h) x $$;

-- The partitions of a span of time, with the ids they hold and whether all of that time lies further back than the class is kept.
create function archive_partitions(out leaf text, out class text, out from_id text, out to_id text, out is_over bigint) returns setof record
  language sql stable
  as $$
    select p.leaf, p.class, archive_edge(p.starts), archive_edge(p.starts + p.span),
      case when p.starts + p.span < clock_timestamp() - cast(r.days || ' days' as interval) then 1 else 0 end
    from (
      select cast(c.relname as text) as leaf, 'short' as class, to_timestamp(right(c.relname, 8), 'YYYYMMDD') as starts, interval '1 day' as span
      from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = cast('archive_short' as regclass) and c.relname ~ '^archive_short_[0-9]{8}$'
      union all
      select c.relname, 'long', to_timestamp(right(c.relname, 4), 'YYYY'), interval '1 year'
      from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = cast('archive_long' as regclass) and c.relname ~ '^archive_long_[0-9]{4}$') p
    join retention r on r.class = p.class
    order by 1
  $$;

-- Makes one partition; false where it is there, where jobs of its time lie elsewhere already, or where the lock was not to be had.
create function archive_make(parent text, leaf text, starts timestamptz, ends timestamptz) returns boolean language plpgsql as $$
begin
  if to_regclass(quote_ident(leaf)) is not null then
    return false;
  end if;
  execute format('create table %I (like %I including all)', leaf, parent);
  execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, leaf, archive_edge(starts), archive_edge(ends));
  return true;
exception when check_violation or lock_not_available or deadlock_detected then
  return false;
end $$;

create function archive_make_day(day text, out leaf text, out made boolean) language plpgsql as $$
begin
  leaf := 'archive_short_' || day;
  made := archive_make('archive_short', leaf, to_timestamp(day, 'YYYYMMDD'), to_timestamp(day, 'YYYYMMDD') + interval '1 day');
end $$;

create function archive_make_year(year text, out leaf text, out made boolean) language plpgsql as $$
begin
  leaf := 'archive_long_' || year;
  made := archive_make('archive_long', leaf, to_timestamp(year, 'YYYY'), to_timestamp(year, 'YYYY') + interval '1 year');
end $$;

-- Makes the partitions of this week and the next, of this year and the next; the names of the new ones. Who comes second finds
-- nothing to do.
create function archive_ahead() returns setof text language plpgsql security definer set lock_timeout = '100ms' as $$
begin
  if pg_try_advisory_xact_lock(cast(cast(cast('archive' as regclass) as oid) as bigint)) then
    return query select d.leaf
      from generate_series(-7, 7) n, archive_make_day(to_char(clock_timestamp() + n * interval '1 day', 'YYYYMMDD')) d where d.made;
    return query select y.leaf
      from generate_series(0, 1) n, archive_make_year(to_char(clock_timestamp() + n * interval '1 year', 'YYYY')) y where y.made;
  end if;
end $$;

-- Whether a partition holds a job that must stay: one that ended within what its class is kept, or a dead one nobody has erased.
create function archive_must_stay(leaf text, days bigint) returns boolean
  language plpgsql stable set enable_seqscan = on set enable_bitmapscan = on as $$
declare
  since bigint := cast(extract(epoch from clock_timestamp()) * 1000000 as bigint) - days * 86400000000;
  found_one boolean;
begin
  execute format('select exists (select 1 from %1$I where finished_at >= $1)
      or exists (select 1 from %1$I where state = ''dead'' and reason <> ''erased'')', leaf) into found_one using since;
  return found_one;
end $$;

-- Drops one partition of the archive and says how many jobs it held; null where it is not past its class's retention, which is
-- judged here and by nobody else, or where a lock was not to be had. Nobody waits for it for longer than that lock's timeout.
create function archive_drop(asked text) returns bigint language plpgsql security definer set lock_timeout = '100ms' as $$
declare
  part record;
  kept bigint;
  held bigint;
begin
  select p.leaf, p.class into part from archive_partitions() p where p.leaf = asked and p.is_over = 1;
  if not found then
    return null;
  end if;
  select r.days into strict kept from retention r where r.class = part.class for share;
  perform brin_summarize_new_values(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
  where i.indrelid = to_regclass(quote_ident(part.leaf)) and a.amname = 'brin';
  if archive_must_stay(part.leaf, kept) then
    return null;
  end if;
  execute format('select count(*) from %I', part.leaf) into held;
  -- nothing ends into it from here on; what did since the first look, the second one sees
  execute format('lock table %I in share mode', part.leaf);
  if archive_must_stay(part.leaf, kept) then
    return null;
  end if;
  execute format('drop table %I', part.leaf);
  return held;
exception when lock_not_available or deadlock_detected then
  return null;
end $$;

-- Some jobs of a class that ended before, among those that lie in no partition of a span of time.
create function archive_over(of_class text, before bigint, most bigint) returns setof text
  language plpgsql stable security definer set enable_seqscan = on set enable_bitmapscan = on as $$
begin
  return query execute format('select id from %I where finished_at < $1 and (state <> ''dead'' or reason = ''erased'') limit $2',
    case of_class when 'short' then 'archive_short_other' when 'long' then 'archive_long_other' else 'archive_kept_dead' end) using before, most;
end $$;

do $$
declare made text;
begin
  for made in select p.oid::regprocedure::text from pg_proc p where p.pronamespace = current_schema()::regnamespace and p.proname like 'archive\_%' loop
    execute format('alter function %s set search_path = %I, pg_temp set timezone = ''UTC''', made, current_schema());
    execute format('revoke all on function %s from public', made);
  end loop;
end $$;
grant execute on function archive_ahead(), archive_drop(text), archive_over(text, bigint, bigint), archive_partitions(), archive_edge(timestamptz)
  to clawr_worker;

select archive_ahead();
-- the years of the jobs that have ended
select archive_make_year(y.name)
from (select distinct to_char(to_timestamp(created_at / 1000000) at time zone 'UTC', 'YYYY') as name from archive_before where created_at > 0) y;
update archive_before set class = 'dead' where state = 'dead';
insert into archive select * from archive_before;
drop table archive_before;
