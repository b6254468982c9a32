//! What can go wrong around the small web.

use std::path::{Path, PathBuf};

/// An error of the small web.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be written.
    #[error(transparent)]
    Files(#[from] shards::Error),
    /// The dump could not be compressed.
    #[error("cannot compress {path}")]
    Compress {
        /// The dump.
        path: PathBuf,
        /// The compressor's answer.
        source: std::io::Error,
    },
    /// The listener no longer gives connections.
    #[error("cannot accept a connection")]
    Accept {
        /// The system's answer.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn compress(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
        let path = path.to_path_buf();
        move |source| Error::Compress { path, source }
    }
}
