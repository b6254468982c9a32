//! What can go wrong with the catalogue and with questions asked in SQL. Each message names the file and what to do.

use std::path::{Path, PathBuf};

/// An error of the `sql` room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite refused an operation on the catalogue.
    #[error("cannot {what} in catalogue {path}: {advice}")]
    Catalogue {
        /// The operation, as a verb and its object.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the user can do about it.
        advice: &'static str,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// A newer diptych wrote the catalogue.
    #[error("catalogue {path} has version {found}, this program knows versions up to {known}: use the newer program that wrote it")]
    NewerCatalogue {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The file is a SQLite database of something else.
    #[error("{path} is a SQLite database, but no catalogue of diptych: name another corpus folder")]
    NotACatalogue {
        /// The file.
        path: PathBuf,
    },
    /// Another process is crawling into the same corpus.
    #[error("catalogue {path} is being worked on by another process: wait for it or stop it")]
    Claimed {
        /// The file.
        path: PathBuf,
    },
    /// A job was committed that nobody leased, or that was committed before.
    #[error("job {job} in catalogue {path} is {state}, not leased: its result is not taken twice")]
    NotLeased {
        /// The file.
        path: PathBuf,
        /// The job's number.
        job: u64,
        /// The state it has, `unknown` when there is no such job.
        state: String,
    },
    /// A source number that the catalogue does not have.
    #[error("catalogue {path} has no source {id}")]
    NoSource {
        /// The file.
        path: PathBuf,
        /// The number asked for.
        id: u64,
    },
    /// The operating system refused an operation on a file or folder.
    #[error("cannot {what} {path}")]
    Io {
        /// The operation, as a verb.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// An answer could not be written as Parquet.
    #[error("cannot write the answer as Parquet: {why}")]
    Parquet {
        /// The table library's answer.
        why: String,
    },
    /// A folder given to [`crate::Lake::open`] is not there.
    #[error("there is no folder {path}: give the one that holds {holds}")]
    NoFolder {
        /// The folder.
        path: PathBuf,
        /// What it should hold.
        holds: &'static str,
    },
    /// A Parquet file of the lake cannot be scanned.
    #[error("cannot read table {table} from {path}")]
    Table {
        /// The table's name in SQL.
        table: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The table library's answer.
        source: polars::error::PolarsError,
    },
    /// A manifest cannot be read.
    #[error("cannot read manifest {path}")]
    Shards {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<shards::Error>,
    },
    /// A statement that would change something, or nothing SQL knows.
    #[error(
        "{word:?} is refused{near}: only select, with, values, show tables, describe and explain are answered, since nothing is changed from here"
    )]
    ReadOnly {
        /// The statement's first word.
        word: String,
        /// A word that was likely meant, in brackets, or nothing.
        near: String,
    },
    /// A line of the shell that begins with a backslash and is none of its commands.
    #[error("there is no command {name}: \\d, \\i and \\q are, and \\? says what they do")]
    NoCommand {
        /// The line's first word.
        name: String,
    },
    /// The statement has a `:name` that no value was given for.
    #[error("no value is given for :{name}: add --param {name}=VALUE{near}")]
    NoParameter {
        /// The name.
        name: String,
        /// Given names that look like it, or nothing.
        near: String,
    },
    /// A value was given that no statement asks for.
    #[error("--param {name} is used nowhere: {asked}")]
    UnusedParameter {
        /// The name given.
        name: String,
        /// The names asked for, in words.
        asked: String,
    },
    /// A parameter is not `NAME=VALUE`.
    #[error("--param {text:?} is not NAME=VALUE with a name of letters, digits and _")]
    BadParameter {
        /// What was given.
        text: String,
    },
    /// The text is no SQL.
    #[error("cannot read the statement: {why}")]
    Syntax {
        /// What the engine's parser expected and found.
        why: String,
    },
    /// More than one answer, where the format holds one.
    #[error("a Parquet file holds one answer, found {found} statements: run them one by one")]
    OneAnswer {
        /// How many there are.
        found: usize,
    },
    /// There is nothing between two semicolons, or in the whole text.
    #[error("there is no statement")]
    Empty,
    /// Text was given as one statement but holds more.
    #[error("expected one statement, found {found}: run several from a file or from standard input")]
    Several {
        /// How many there are.
        found: usize,
    },
    /// A quotation or comment is never closed.
    #[error("the statement ends within {within}")]
    Unclosed {
        /// What was begun.
        within: &'static str,
    },
    /// A common table expression has the name of a table; the engine would silently take the table.
    #[error("{name} is a table here, so with ... as cannot use the name: choose another")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A table that the lake does not have.
    #[error("there is no table {name}: {near}")]
    NoTable {
        /// The name asked for.
        name: String,
        /// Near names, or all.
        near: String,
    },
    /// A column that no table of the statement has.
    #[error("there is no column {name}: {near}")]
    NoColumn {
        /// The name asked for.
        name: String,
        /// Near names with their tables.
        near: String,
    },
    /// A question that is none of [`crate::INSPECTIONS`].
    #[error("there is no question {name}: {near}")]
    NoInspection {
        /// The name asked for.
        name: String,
        /// Near names, or how to list all.
        near: String,
    },
    /// The engine refused the statement.
    #[error("cannot answer: {why}")]
    Statement {
        /// The engine's answer.
        why: String,
    },
    /// A value could not be printed.
    #[error("cannot print the answer")]
    Print(#[source] std::io::Error),
    /// The terminal could not be read.
    #[error("cannot read from the terminal")]
    Terminal(#[source] rustyline::error::ReadlineError),
    /// A statement of a text failed.
    #[error("{origin}, line {line}{place}")]
    InText {
        /// The file, or `standard input`.
        origin: String,
        /// The line of the mistake, or that on which the statement begins; counted from 1.
        line: usize,
        /// Column and word of the mistake, where they are known: `, column 8, at "captoin"`.
        place: String,
        /// What is wrong with it.
        source: Box<Error>,
    },
}

impl Error {
    /// Wraps a system error with the operation and the path, for `map_err`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
        let path = path.to_path_buf();
        move |source| Error::Io { what, path, source }
    }

    /// Wraps SQLite's answer with the operation, the file and advice, for `map_err`.
    pub(crate) fn catalogue(what: &'static str, path: &Path) -> impl FnOnce(rusqlite::Error) -> Error + use<> {
        let path = path.to_path_buf();
        move |source| Error::Catalogue { what, path, advice: advice(&source), source }
    }
}

/// What a user can do about SQLite's answer.
fn advice(error: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode::*;
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => "another program keeps it locked, wait for it or stop it",
        Some(DiskFull) => "the disk is full, free some space and run the same command again",
        Some(CannotOpen) => "check that its folder exists and can be written",
        Some(PermissionDenied | ReadOnly) => "it cannot be written, check its owner and mode",
        Some(DatabaseCorrupt) => "it is damaged, put back a copy of it",
        Some(NotADatabase) => "it is no SQLite file, move it away or name another corpus folder",
        Some(SystemIoFailure) => "the disk failed, check it and the space left",
        _ => "the operation did not fit what it holds",
    }
}
