-- The catalogue of one corpus: what is to be done, what is done, and counters. There is no row per pair here, ever; pairs
-- are rows of Parquet files. Each state is a plain word, so that anyone with sqlite3 can read it.

-- "dipt" in ASCII: tells a catalogue from any other SQLite file before it is written to.
pragma application_id = 1684631668;

-- Small state of the program that belongs to no other table.
create table properties (
  key   text not null primary key, -- chosen by whoever remembers it
  value text not null              -- read back by the same code that wrote it, so any text
) strict;

-- Where pairs come from: one row per `--source KIND:WHERE` ever given for this corpus.
create table sources (
  id       integer primary key,             -- what jobs and pages refer to
  kind     text not null,                   -- which code reads it: `urls`, `web`
  location text not null,                   -- the WHERE of the flag: a file or a URL
  state    text not null default 'new',     -- a word of the crawler's; only `new` means something here: nothing was planned yet
  unique (kind, location)                   -- the same flag given again goes on with the same source
) strict;

-- Pieces of work with a fixed input, recorded before they begin.
create table jobs (
  id      integer primary key autoincrement, -- also the number of the segment it gives, hence never used again
  source  integer not null references sources (id), -- whose work it is
  kind    text not null check (kind in ('plan', 'fetch', 'pages')), -- what is done, so that a worker asks for what it can do
  payload text not null,                     -- the input, JSON of the crawler's; empty when the input is pages
  state   text not null default 'open' check (state in ('open', 'leased', 'done')) -- leased: someone works on it now, or died doing so
) strict;

-- The next open job of a kind, lowest number first, without looking at those done.
create index jobs_by_state on jobs (source, state, kind, id);

-- The frontier of the live web: pages known, fetched or not.
create table pages (
  id     integer primary key,               -- the order of discovery, which breaks ties of depth
  source integer not null references sources (id), -- each source walks the web on its own
  url    text not null,                     -- canonical, so that a page has one row
  depth  integer not null check (depth >= 0), -- links followed from a seed: near pages first
  state  text not null default 'waiting' check (state in ('waiting', 'leased', 'done')), -- leased: its job is not done
  job    integer references jobs (id),      -- the job that has it; a job done again after a crash finds its pages by this
  unique (source, url)                      -- a link found twice is one page
) strict;

-- The next pages to fetch, without looking at those done.
create index pages_waiting on pages (source, depth, id) where state = 'waiting';
-- The pages of a job.
create index pages_by_job on pages (job) where job is not null;

-- What was fetched: one row per pair of files in `pool/`, or per file in `candidates/` alone. Files without a row are leftovers.
create table segments (
  id         integer primary key references jobs (id), -- the job that gave it
  candidates integer not null check (candidates >= 0), -- rows of its candidates file
  pairs      integer not null check (pairs >= 0),      -- rows of its pool file
  bytes      integer not null check (bytes >= 0),      -- size of its tar, 0 when nothing was fetched
  time_ms    integer not null                          -- when it was committed, ms since 1970 UTC: gives the rate of a crawl
) strict;

-- Distinct pairs seen by query, fetched or not: the n_q of the cap, which only grows.
create table counters (
  query_id integer primary key,              -- the id in queries.parquet
  seen     integer not null check (seen >= 0) -- pairs seen so far
) strict;

-- What was learnt of each host, for politeness and blame.
create table hosts (
  host      text not null primary key,            -- name, with the port if it is not the scheme's own
  requests  integer not null check (requests >= 0),  -- requests made
  successes integer not null check (successes >= 0), -- requests that gave what was asked for
  refused   integer not null check (refused >= 0),   -- URLs not asked for: robots.txt or an opt-out
  bytes     integer not null check (bytes >= 0)      -- bytes received
) strict;

-- Decisions by outcome, so that status needs no look at the candidates.
create table outcomes (
  outcome text not null primary key,            -- as in candidates.outcome; of pages as `page:OUTCOME`
  count   integer not null check (count >= 0)   -- decisions so far
) strict;

pragma user_version = 1;
