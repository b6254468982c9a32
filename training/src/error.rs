//! What can go wrong in training and evaluation. Each variant names the file or the tensor in question.

use std::path::{Path, PathBuf};

/// An error of the `training` room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, table or archive of the corpus could not be read or written.
    #[error(transparent)]
    Shards(#[from] shards::Error),
    /// libtorch refused an operation that the outside world can make fail, such as taking memory on a device.
    #[error("libtorch cannot {what}")]
    Torch {
        /// The operation, as a verb.
        what: &'static str,
        /// libtorch's answer.
        source: tch::TchError,
    },
    /// The device asked for is not there.
    #[error("no device {name}: {why}")]
    Device {
        /// The device asked for.
        name: String,
        /// Why it cannot be used.
        why: String,
    },
    /// No model has this name.
    #[error("no model {name:?}; there are {known}, or give the path of a .json file")]
    UnknownModel {
        /// The name asked for.
        name: String,
        /// The names that exist, with commas.
        known: String,
    },
    /// A model description breaks a rule.
    #[error("model {name}: {why}")]
    Model {
        /// The model's name or file.
        name: String,
        /// The rule.
        why: String,
    },
    /// A file of weights is damaged or not one.
    #[error("cannot read weights {path}: {why}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A tensor in a file of weights has another shape or type than the model's.
    #[error("tensor {name} of {path}: expected {expected}, found {found}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// Shape and type of the model's tensor.
        expected: String,
        /// What the file has, or `nothing`.
        found: String,
    },
    /// The tokenizer's merges file is missing.
    #[error("no merges file at {path}: run `make setup`, or name it in DIPTYCH_MERGES")]
    NoMerges {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The tokenizer's merges file is not the one CLIP uses.
    #[error("merges file {path}: {why}")]
    Merges {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A template list is missing or breaks a rule.
    #[error("templates {name}: {why}")]
    Templates {
        /// The list's name or file.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// A manifest or one of its samples cannot be used.
    #[error("{path}: {why}")]
    Data {
        /// The manifest or tar.
        path: PathBuf,
        /// What is wrong, with the sample's key where there is one.
        why: String,
    },
}

impl Error {
    /// Wraps libtorch's refusal with the operation, for `map_err`.
    pub(crate) fn torch(what: &'static str) -> impl FnOnce(tch::TchError) -> Error {
        move |source| Error::Torch { what, source }
    }

    /// An [`Error::Data`] about `path`.
    pub(crate) fn data(path: &Path, why: impl Into<String>) -> Error {
        Error::Data { path: path.to_path_buf(), why: why.into() }
    }
}
