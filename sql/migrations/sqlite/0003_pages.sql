-- What became of each page, and what each host has had of each walk: failed pages can be asked for again, hosts take turns, and
-- a host without end has a bound.

alter table pages add column outcome text not null default ''; -- as in candidates.outcome, and a few words of pages; empty while not visited
-- Name and port: what stands between the scheme and the path.
alter table pages add column host text generated always as
  (substr(url, instr(url, '://') + 3, instr(substr(url, instr(url, '://') + 3) || '/', '/') - 1)) virtual;
-- Whether its host was asked for it, or is now: what was decided without that costs the host nothing.
alter table pages add column asked integer generated always as
  (state = 'leased' or (state = 'done' and outcome not in ('trap', 'full', 'removed'))) virtual;

-- The next pages of a host, nearest first.
create index pages_by_host on pages (source, host, depth, id) where state = 'waiting';

-- The pages of each host by state, so that leasing looks at hosts, not at all pages. Kept by the triggers below alone.
create table page_hosts (
  source  integer not null references sources (id), -- each source walks on its own
  host    text not null,                            -- as pages.host
  waiting integer not null check (waiting >= 0),    -- pages that no job has
  asked   integer not null check (asked >= 0),      -- pages it was asked for, or is now
  primary key (source, host)
) strict, without rowid;

-- The hosts whose turn it is: those asked least.
create index page_hosts_in_turn on page_hosts (source, asked, host) where waiting > 0;
-- What a host was asked for by all sources.
create index page_hosts_by_host on page_hosts (host, asked);

insert into page_hosts (source, host, waiting, asked)
select source, host, sum(state = 'waiting'), sum(asked) from pages group by source, host;

create trigger page_hosts_add after insert on pages
begin
  insert into page_hosts (source, host, waiting, asked) values (new.source, new.host, new.state = 'waiting', new.asked)
  on conflict (source, host) do update set waiting = waiting + excluded.waiting, asked = asked + excluded.asked;
end;

create trigger page_hosts_move after update of state, outcome on pages
begin
  update page_hosts
  set waiting = waiting + (new.state = 'waiting') - (old.state = 'waiting'), asked = asked + new.asked - old.asked
  where source = new.source and host = new.host;
end;

pragma user_version = 3;
