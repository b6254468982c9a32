//! Sources, politeness, fetching, extraction and ingest of image-text pairs.
//!
//! [`crawl`] takes sources (live web, URL lists, archives, search services) and fills a corpus folder with segments. It knows nothing of SQL or of
//! query lists: what it needs of them it asks through two small traits, [`Ledger`] (which work is done) and [`Matcher`]
//! (which queries a caption has, and whether a pair is inside the cap). No other room of diptych opens a socket.
//!
//! Where to look, in the order in which a pair passes:
//!
//! - what is asked for: `options` ([`CrawlOptions`], [`Source`]); its work is recorded by `sources`; the run itself: `crawl`, over the shared `engine`;
//! - a finite source: `plan` matches it before anything is fetched; of lists `lists` names the files, `listed` records their rows as jobs,
//!   `columns` finds which are read, `urls`, `csv`, `elements` and `parquet` read the rows; of archives `place` opens the files, `gzip` and
//!   `warc` read the records, `capture` and `wat` their pages (`mend` for odd JSON);
//! - a search service: `search` asks for queries with the fewest pairs, `openverse` and `commons` speak the protocols,
//!   `lenient` and `snippet` read what they say, `health` knows whether they still answer;
//! - the live web: `pages` fetches pages, `page` extracts links and captioned images (`charset` and `xhtml` make HTML of bytes, `lazy`, `srcset`
//!   and `dataurl` find addresses, `figures` and `prose` words), `sitemap` reads what a site lists itself, `links` spells the addresses of
//!   pages, `rules` says which belong to the crawl, `traps` knows where there is no end, by the `shapes` of addresses;
//! - may it be fetched: `robots` (its `patterns`, and `origins` that were asked), `optout`, `guard` (unsafe addresses), `hosts` (connections and
//!   rate per host, in `lane`s), `retry` (waits that servers ask for), `promise` (hashes that lists promise);
//! - what was decided is decided anew: `replay`; figures for who watches: `metrics`; what client errors say: `faults`;
//! - `fetch` makes requests (`want`: what for; `coding`: how bodies are packed; `refusal`: why not; `files`: how many at a time), `images` runs the fetches of a job, `ingest` turns bytes into a stored picture;
//! - `segment` writes what a job gives, `seen` remembers pairs, `layout` names the files.
//!
//! `offer` is the one form in which all of them hand over pairs. [`scan`] lists the pairs of finite sources without a corpus.
//!
//! Apart from crawls, `download` fetches the published files that a query list is made of.
//!
//! Everything that arrives from outside is hostile: each size, count and time has a cap, and one bad page, image or row is
//! counted with its reason, never fatal.

mod archives;
mod brackets;
mod capture;
mod charset;
mod coding;
mod columns;
mod commons;
mod crawl;
mod csv;
mod dataurl;
mod download;
mod elements;
mod engine;
mod error;
mod faults;
mod fetch;
mod figures;
mod files;
#[doc(hidden)]
pub mod foreign;
mod guard;
mod gzip;
mod health;
mod hosts;
mod images;
mod inflate;
mod ingest;
mod lane;
mod layout;
mod lazy;
mod ledger;
mod lenient;
mod lines;
mod linked;
mod links;
mod listed;
mod lists;
mod matching;
mod mend;
mod metrics;
mod offer;
mod openverse;
mod options;
mod optout;
mod origins;
mod outline;
mod page;
mod pages;
mod parquet;
mod patterns;
mod place;
mod plan;
mod promise;
mod prose;
mod refusal;
mod replay;
mod retry;
mod robots;
#[cfg(test)]
mod robots_cases;
mod rules;
mod scan;
mod search;
mod seen;
mod segment;
mod shapes;
mod sitemap;
mod snippet;
mod sources;
mod srcset;
mod summary;
mod traps;
mod urls;
mod want;
mod warc;
mod wat;
mod xhtml;

pub use archives::ArchiveKind;
pub use crawl::crawl;
pub use download::{Wanted, download};
pub use error::Error;
pub use ledger::{Ledger, LedgerError};
pub use matching::Matcher;
pub use metrics::listening_address;
pub use options::{CrawlOptions, DRAIN, JobSizes, OBEYED_GROUPS, Source};
pub use replay::moved_from;
pub use rules::{Pattern, Rules};
pub use scan::{Scanned, scan};
pub use search::Service;
pub use summary::CrawlSummary;
