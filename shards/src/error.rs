//! What can go wrong with files, tables and archives. Each variant names the file, and where it can, the place in it.

use std::path::{Path, PathBuf};

/// An error of the `shards` room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused an operation on a file or folder.
    #[error("cannot {what} {path}")]
    Io {
        /// The operation, as a verb: `open`, `write`, `rename`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A Parquet file could not be written or read.
    #[error("cannot {what} table {path}")]
    Table {
        /// The operation, as a verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The table library's answer.
        source: polars::error::PolarsError,
    },
    /// A table lacks a column, or has it with another type.
    #[error("column {column} of {path}: expected {expected}, found {found}")]
    Column {
        /// The file, or the name of the table in memory.
        path: PathBuf,
        /// The column's name.
        column: String,
        /// The type asked for.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// A value in a table has the right type but makes no sense.
    #[error("row {row} of {path}: {why}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The row, counted from 0 within the batch.
        row: usize,
        /// What is wrong.
        why: String,
    },
    /// A tar archive breaks the format.
    #[error("damaged tar {path} at byte {offset}: {why}")]
    Tar {
        /// The archive.
        path: PathBuf,
        /// The offset of the header or block in question, in bytes.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// A `meta.json` or another JSON file is not what it should be.
    #[error("cannot read {path}: {why}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file was written by another version of diptych's formats.
    #[error("{path} has format version {found}, this program reads version {expected}")]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The version this program reads.
        expected: u32,
    },
    /// A folder is to be written where something else is.
    #[error("{path} will not be replaced: {why}")]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What is there.
        why: String,
    },
    /// An option has a value that makes no sense.
    #[error("{option}: {why}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Data is not laid out as its kind demands, or holds nothing that can be used.
    #[error("cannot use {path}: {why}")]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Error {
    /// Wraps a system error with the operation and the path, for `map_err`.
    pub fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
        let path = path.to_path_buf();
        move |source| Error::Io { what, path, source }
    }

    /// Wraps a table error with the operation and the path, for `map_err`.
    pub fn table(what: &'static str, path: &Path) -> impl FnOnce(polars::error::PolarsError) -> Error + use<> {
        let path = path.to_path_buf();
        move |source| Error::Table { what, path, source }
    }
}
