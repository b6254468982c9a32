//! Query list, matching, the cap, filters, duplicates, balancing, selection.
//!
//! What to look for and what to keep. This crate reads and writes tables and knows nothing of networks, models or SQL.
//! Before a crawl:
//!
//! - [`wordlist`] counts the words of Wikipedia dumps ([`Dump`], [`plain_text`], [`words`]) and writes them and the user's own
//!   entries as [`Query`] rows;
//! - [`Matcher`] says which queries a caption holds, by the rule `folded` ([`fold`], [`spaced`]);
//! - [`Cap`] says whether a pair is among those taken for its queries.
//!
//! After it, [`select`] gives every pair of the pool its one reason: [`Filters`], duplicates, balance, or kept.

mod balance;
mod cap;
mod card;
mod dense_trie;
mod dump;
mod dump_source;
mod duplicates;
mod error;
mod filters;
mod folded;
mod hamming;
mod matcher;
mod namespaces;
mod pool;
mod query;
mod samples;
mod selection;
mod token_trie;
mod vocabulary;
mod wikitag;
mod wikitext;
mod word_counts;
mod wordlist;
mod words;

pub use cap::Cap;
pub use dump::{Article, Dump, DumpCounts};
pub use error::Error;
pub use filters::{Filters, RULES};
pub use folded::{MATCH_RULE, fold, spaced};
pub use matcher::Matcher;
pub use namespaces::Namespaces;
pub use query::{CUT_ID, Query};
pub use selection::{DEFAULT_SELECTION, SelectOptions, SelectSummary, select};
pub use wikitext::plain_text;
pub use wordlist::{MAX_QUERY_CHARS, WordlistOptions, WordlistSummary, wordlist};
pub use words::words;
