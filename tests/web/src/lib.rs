//! A small web with known truth: pages, pictures and a dump about the same words, served on loopback.
//!
//! `diptych demo` runs every stage over it, and the tests judge what came out against what was planted. It knows no stage
//! of the program, only the rows that they write ([`judge`] reads candidates, reasons and samples).
//!
//! - [`Web::generate`]: everything from a seed; same seed, same bytes. `words` says what a picture can show, `draw`, `picture` and
//!   `alter` make the files, `plant`, `copies` and `dirt` decide what is planted on the main host, `page` and `site` write its HTML.
//! - The other hosts are written by hand, each about one kind of dirt: `markup`, `languages`, `faults`, `consent`, `archive` (with
//!   what is `endless`), and `heavy`, where the cap must act.
//! - [`Web::plan`]: the truth, one [`Planted`] per pair with what must become of it. [`judge`] compares, [`Web::conduct`] tells
//!   how the crawler behaved.
//! - [`Web::serve`]: a small HTTP/1.1 server that counts requests per place and misbehaves as told ([`Behaviour`]).
//! - [`Web::dump`]: an encyclopedia in Wikipedia's format in which each query word is frequent.
//! - [`Web::write_test_set`]: pictures never shown, one folder per class, for zero-shot evaluation.
//!
//! All hosts have one server: the main one is its address, the others are names under `.localhost`, which RFC 6761 keeps on this
//! machine. Places in the plan are `/PATH` on the main host, `//HOST/PATH` on another.

mod alter;
mod archive;
mod bucket;
mod cap;
mod conduct;
mod consent;
mod copies;
mod date;
mod dirt;
mod draw;
mod dump;
mod endless;
mod error;
mod faults;
mod heavy;
mod host;
mod judge;
mod languages;
mod markup;
mod page;
mod picture;
mod plan;
mod plant;
mod resource;
mod rng;
mod server;
mod site;
mod testset;
mod web;
mod words;

pub use bucket::Bucket;
pub use conduct::Conduct;
pub use error::Error;
pub use judge::{Found, Verdict, judge};
pub use plan::{Expect, Plan, Planted, reason};
pub use resource::Behaviour;
pub use web::{Size, Web};
