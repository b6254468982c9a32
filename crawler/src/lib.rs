//! Sources, politeness, fetching, extraction and ingest of image-text pairs.
//!
//! [`crawl`] takes sources (`web:URL`, `urls:FILE`) and fills a corpus folder with segments. It knows nothing of SQL or of
//! query lists: what it needs of them it asks through two small traits, [`Ledger`] (which work is done) and [`Matcher`]
//! (which queries a caption has, and whether a pair is inside the cap). No other room of diptych opens a socket.
//!
//! Where to look, in the order in which a pair passes:
//!
//! - what is asked for: `options` ([`CrawlOptions`], [`Source`]); the run itself: `crawl`, over the shared `engine`;
//! - a finite list: `plan` cuts and matches it, `urls` and `csv` read its rows;
//! - the live web: `pages` fetches pages, `page` extracts links and captioned images (`srcset`, `dataurl`, `charset`), `sitemap`
//!   reads what a site lists itself, `links` spells the addresses of pages, `traps` knows where there is no end;
//! - may it be fetched: `robots`, `optout`, `guard` (unsafe addresses), `hosts` (connections and rate per host),
//!   `retry` (waits that servers ask for);
//! - what was decided is decided anew: `replay`; figures for who watches: `metrics`; what client errors say: `faults`;
//! - `fetch` makes requests, `images` runs the fetches of a job, `ingest` turns bytes into a stored picture;
//! - `segment` writes what a job gives, `seen` remembers pairs, `layout` names the files.
//!
//! Apart from crawls, `download` fetches the published files that a query list is made of.
//!
//! Everything that arrives from outside is hostile: each size, count and time has a cap, and one bad page, image or row is
//! counted with its reason, never fatal.

mod charset;
mod crawl;
mod csv;
mod dataurl;
mod download;
mod engine;
mod error;
mod faults;
mod fetch;
mod guard;
mod hosts;
mod images;
mod ingest;
mod layout;
mod ledger;
mod links;
mod matching;
mod metrics;
mod options;
mod optout;
mod page;
mod pages;
mod plan;
mod replay;
mod retry;
mod robots;
#[cfg(test)]
mod robots_cases;
mod seen;
mod segment;
mod sitemap;
mod srcset;
mod summary;
mod traps;
mod urls;

pub use crawl::crawl;
pub use download::{Wanted, download};
pub use error::Error;
pub use ledger::{Ledger, LedgerError};
pub use matching::Matcher;
pub use options::{CrawlOptions, DRAIN, JobSizes, OBEYED_GROUPS, Source};
pub use summary::CrawlSummary;
