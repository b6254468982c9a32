//! What can go wrong in curation. Each variant names the file, and where it can, the place in it.

use std::path::PathBuf;

/// An error of the `curation` room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or table could not be read or written.
    #[error(transparent)]
    Shards(#[from] shards::Error),
    /// A file given as a dump is something else.
    #[error("{path} is not a MediaWiki XML dump: {why}")]
    NotADump {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        why: String,
    },
    /// A dump breaks off or is corrupt.
    #[error("damaged dump {path} at byte {offset}: {why}")]
    Dump {
        /// The file.
        path: PathBuf,
        /// Where reading stopped, in bytes of the file as it lies on disk (compressed ones if it is compressed).
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// A line of a file of added queries cannot be a query.
    #[error("line {line} of {path}: {why}")]
    AddedLine {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A page views file is something else, or damaged.
    #[error("{}page views {path}: {why}", of_line(*line))]
    Pageviews {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1; 0 for the file itself.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// It is not known whose page views are meant.
    #[error("cannot tell the project of the page views from the dump's name {database:?}: say it with --project, such as en")]
    Project {
        /// The database's name in the first dump; empty without one.
        database: String,
    },
    /// A folder is no WordNet, or one of its files is something else.
    #[error("{}WordNet {path}: {why}", of_line(*line as u64))]
    WordNet {
        /// The folder or file.
        path: PathBuf,
        /// The line, counted from 1; 0 for the folder itself.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// Nothing is left to write into a query list.
    #[error("the query list would be empty: {why}")]
    EmptyList {
        /// What was read and what it was cut by.
        why: String,
    },
    /// A table of queries cannot be used for matching.
    #[error("query list {path}: {why}")]
    QueryList {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
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

/// The place of a line in front of its file; nothing when the file itself is meant.
fn of_line(line: u64) -> String {
    if line == 0 { String::new() } else { format!("line {line} of ") }
}
