//! The catalogue of a corpus, and SQL over everything in it.
//!
//! Knows nothing of networks, captions or models: only of the files that the other rooms leave. It holds
//!
//! - [`Catalogue`]: the SQLite file of a corpus that says what is to be done and what is done. A crawl leases jobs from it
//!   and commits them; [`Status`] is what it tells people;
//! - [`Lake`]: a corpus and its runs as tables, asked in SQL, one statement at a time or as a shell;
//! - [`render`]: an answer as a table, CSV, JSON lines or Parquet.
//!
//! All SQL text is in files beside this folder: `migrations/` makes the catalogue, `catalogue/` holds the statements of
//! [`Catalogue`], `tables/` those by which [`Lake`] reads it, and `inspect/` questions worth asking, each saying how to read its
//! answer ([`INSPECTIONS`]). `VIEWS.md` says what every table and column means; `describe` shows it.

mod catalogue;
mod commit;
mod complete;
mod error;
mod evals;
mod frames;
mod frontier;
mod inspect;
mod jobs;
mod known;
mod lake;
mod near;
mod parameters;
mod pitfalls;
mod place;
mod records;
mod render;
mod runs;
mod shell;
mod statement;
mod tables;
mod tars;
#[cfg(test)]
mod testing;
mod views;
mod vocabulary;

pub use catalogue::Catalogue;
pub use error::Error;
pub use inspect::{INSPECTIONS, Inspection};
pub use jobs::Source;
pub use known::{SegmentHeld, SourceStatus, Status, Totals};
pub use lake::Lake;
pub use parameters::Parameters;
pub use render::{Format, render};
