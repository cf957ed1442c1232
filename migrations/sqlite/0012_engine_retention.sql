-- additive: a column, an index and a table; older binaries archive into the class that is kept longest
-- How long ended jobs are kept: `short`, `long`, or, where they are dead, until an operator acts.
alter table archive add column class text not null default 'long' constraint archive_class check (class in ('short','long','dead'));
--;;
update archive set class = 'dead' where state = 'dead';
--;;
create index archive_finished on archive (class, finished_at);
--;;
-- Days after its ending that a job of a class is kept. Nothing is allowed that would forget money within a year.
create table retention (
  class text not null primary key,
  days integer not null,
  constraint retention_days check ((class = 'short' and days between 1 and 90) or (class = 'long' and days between 365 and 36500))
) strict, without rowid;
--;;
insert into retention (class, days) values ('short', 7), ('long', 3650);
