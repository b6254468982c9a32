//! What can go wrong in curation. Each variant names the file, the rule or the row.

use std::path::PathBuf;

/// An error of the `curation` room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or table could not be read or written.
    #[error(transparent)]
    Shards(#[from] shards::Error),
    /// A rule that does not exist was switched off.
    #[error("no rule is called {name:?}; the rules are {known}")]
    UnknownRule {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A selection's name is not a plain folder name.
    #[error("the selection's name {name:?} is not a plain folder name")]
    Name {
        /// The name asked for.
        name: String,
    },
    /// The folder is not a corpus, or lacks what selecting needs.
    #[error("{path} cannot be selected from: {why}")]
    Corpus {
        /// The folder.
        path: PathBuf,
        /// What is missing or wrong.
        why: String,
    },
}
