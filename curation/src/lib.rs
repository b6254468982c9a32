//! Query list, matching, the cap, filters, duplicates, balancing, selection.

mod balance;
mod cap;
mod card;
mod duplicates;
mod error;
mod filters;
mod hamming;
mod pool;
mod query;
mod samples;
mod selection;

pub use cap::Cap;
pub use error::Error;
pub use filters::{Filters, RULES};
pub use query::Query;
pub use selection::{DEFAULT_SELECTION, SelectOptions, SelectSummary, select};
