//! What ends a crawl. A bad page, image or row is not among it: those are counted.

use crate::LedgerError;
use std::path::PathBuf;

/// An error of the `crawler` room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The options contradict themselves or name something that is not there.
    #[error("{0}")]
    Usage(String),
    /// A host on the public internet would be asked without saying who asks.
    #[error("--contact ADDRESS is required to fetch from {host}: its owner must be able to reach you")]
    Contact {
        /// The host.
        host: String,
    },
    /// A file of the corpus could not be written or read.
    #[error(transparent)]
    Files(#[from] shards::Error),
    /// A URL list cannot be read.
    #[error("cannot read URL list {path}: {why}")]
    List {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// An archive cannot be read.
    #[error("cannot read archive {place}: {why}")]
    Archive {
        /// Its path or address.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// An archive is not where it should be.
    #[error("there is no archive at {place}")]
    Missing {
        /// Its path or address.
        place: String,
    },
    /// What is listed cannot be written.
    #[error("cannot write the list of pairs")]
    Output(#[source] std::io::Error),
    /// The catalogue refused.
    #[error("cannot {what} in the catalogue")]
    Ledger {
        /// The operation, as a verb with its object.
        what: &'static str,
        /// The catalogue's answer.
        source: LedgerError,
    },
    /// A recorded job holds an input that this version cannot read.
    #[error("job {job} has an unreadable input: {why}")]
    Payload {
        /// The job's number.
        job: u64,
        /// What is wrong.
        why: String,
    },
    /// The HTTP client could not be made.
    #[error("cannot prepare the HTTP client")]
    Client(#[source] reqwest::Error),
    /// A published file cannot be downloaded.
    #[error("cannot download {url}: {why}")]
    Download {
        /// What was asked for.
        url: String,
        /// The server's answer, or what happened on the way.
        why: String,
    },
    /// A downloaded file is not the one that was published.
    #[error("{url} has the checksum {found}, its mirror publishes {expected}: what arrived was removed, try again or another --mirror")]
    Checksum {
        /// Where it came from.
        url: String,
        /// The published checksum, in hex.
        expected: String,
        /// That of the bytes that arrived.
        found: String,
    },
    /// Services failed, and nothing else was had.
    #[error("{0}")]
    Unanswered(String),
    /// Figures cannot be served.
    #[error("cannot serve metrics at {address}")]
    Metrics {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Another crawl is writing to the same corpus.
    #[error("another crawl is at work in {path}")]
    InUse {
        /// The corpus folder.
        path: PathBuf,
    },
    /// A worker died of a defect in the program.
    #[error("a worker failed: {0}")]
    Worker(String),
}

impl Error {
    /// Whether the fault lies in how the program was called, so that it should exit with 2.
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Usage(_) | Error::Contact { .. })
    }

    /// Wraps the catalogue's answer with the operation, for `map_err`.
    pub(crate) fn ledger(what: &'static str) -> impl FnOnce(LedgerError) -> Error {
        move |source| Error::Ledger { what, source }
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Self {
        Error::Worker(error.to_string())
    }
}
