//! Query list, matching, the cap, filters, duplicates, balancing, selection.
//!
//! What to look for and what to keep. This crate reads and writes tables and knows nothing of networks, models or SQL.
//! Before a crawl:
//!
//! - [`wordlist`] counts the words and word pairs of Wikipedia dumps ([`DumpHead`], [`plain_text`], [`Words`]) and writes them, titles, synsets
//!   and the user's own entries as [`Query`] rows; [`explain`] says why a text is or is not among them;
//! - [`Matcher`] says which queries a caption holds, by the list's [`Rule`] ([`fold`], [`spaced`]);
//! - [`Cap`] says whether a pair is among those taken for its queries.
//!
//! After it, [`select`] gives every pair of the pool its one reason: [`Filters`], duplicates, balance, or kept.

mod added;
mod balance;
mod bz2_bits;
mod bz2_blocks;
mod bz2_decode;
mod cap;
mod card;
mod counted;
mod dense_trie;
mod dump;
mod dump_head;
mod dump_page;
mod dump_source;
mod duplicates;
mod error;
mod explain;
mod filters;
mod folded;
mod hamming;
mod matcher;
mod namespaces;
mod pageviews;
mod pair_counts;
mod pool;
mod query;
mod query_list;
mod query_text;
mod rule;
mod runs;
mod samples;
mod selection;
mod tally;
mod tidy;
mod token_trie;
mod vocabulary;
mod wikitag;
mod wikitext;
mod wordlist;
mod wordnet;
mod words;

pub use cap::Cap;
pub use dump_head::DumpHead;
pub use dump_page::{Article, DumpCounts};
pub use error::Error;
pub use explain::explain;
pub use filters::{Filters, RULES};
pub use folded::{fold, spaced};
pub use matcher::Matcher;
pub use namespaces::Namespaces;
pub use query::{CUT_ID, Query};
pub use query_list::Source;
pub use query_text::{MAX_QUERY_CHARS, query_text};
pub use rule::Rule;
pub use selection::{DEFAULT_SELECTION, SelectOptions, SelectSummary, select};
pub use wikitext::plain_text;
pub use wordlist::{WordlistOptions, WordlistSummary, wordlist};
pub use words::{Word, Words};
