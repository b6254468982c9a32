//! The catalogue of a corpus, and SQL over everything in it.

mod catalogue;
mod commit;
mod error;
mod jobs;
mod known;

pub use catalogue::Catalogue;
pub use error::Error;
pub use jobs::Source;
pub use known::{SourceStatus, Status, Totals};
