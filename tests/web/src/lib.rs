//! A small web with known truth: pages, pictures and a dump about the same words, served on loopback.
//!
//! `diptych demo` runs every stage over it, and the tests judge what came out against what was planted. It knows no stage
//! of the program, only the rows that they write ([`judge`] reads candidates, reasons and samples).
//!
//! - [`Web::generate`]: everything from a seed; same seed, same bytes. `words` says what a picture can show, `draw` and
//!   `picture` make the files, `plant` and `dirt` decide what is planted, `page` and `site` write the HTML.
//! - [`Web::plan`]: the truth, one [`Planted`] per pair with what must become of it.
//! - [`Web::serve`]: a small HTTP/1.1 server that counts requests per path and can misbehave ([`Behaviour`]).
//! - [`Web::dump`]: an encyclopedia in Wikipedia's format in which each query word is frequent.
//! - [`Web::write_test_set`]: pictures never shown, one folder per class, for zero-shot evaluation.
//!
//! One host so far. Paths in the plan begin with `/`; a second host is only ever linked to, and must not be followed.

mod dirt;
mod draw;
mod dump;
mod error;
mod judge;
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

pub use error::Error;
pub use judge::{Found, Verdict, judge};
pub use plan::{Expect, Plan, Planted, reason};
pub use resource::Behaviour;
pub use web::{Size, Web};
