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
    /// Nothing to train on.
    #[error("no sample of split train with a caption in {place}")]
    NoSamples {
        /// The manifests, with commas.
        place: String,
    },
    /// The corpus is larger than the loader can address.
    #[error("more than {limit} {what} in one training")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The most there may be.
        limit: u64,
    },
    /// A sample cannot be read, nor can any of those tried in its place: the archives are not what the manifest says.
    #[error("cannot read {location} ({why}), nor {tried} samples tried in its place")]
    Unreadable {
        /// The archive and offset of the first.
        location: String,
        /// What is wrong with it.
        why: String,
        /// Samples tried after it.
        tried: u64,
    },
    /// Options of a training make no sense, alone or together.
    #[error("{why}")]
    Options {
        /// The rule.
        why: String,
    },
    /// Another training has the folder.
    #[error("{path} is in use by another training; wait for it or choose another folder")]
    InUse {
        /// The run's folder.
        path: PathBuf,
    },
    /// The folder holds a run already and resuming was not asked for.
    #[error("{path} holds a run already; resume it or choose another folder")]
    RunExists {
        /// The run's folder.
        path: PathBuf,
    },
    /// A run would be resumed with another property than it was begun with.
    #[error("run {path} has {property} {run}, asked for is {asked}")]
    Contradiction {
        /// The run's folder.
        path: PathBuf,
        /// The property.
        property: String,
        /// Its value in the run.
        run: String,
        /// The value asked for.
        asked: String,
    },
    /// A checkpoint is damaged or missing.
    #[error("checkpoint {path}: {why}")]
    Checkpoint {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The loss or a gradient is no longer a number.
    #[error("the training diverged at step {step}: loss {loss}, gradient {norm}; try a lower rate or a longer warm-up")]
    Diverged {
        /// The step, from 0.
        step: u64,
        /// The loss there.
        loss: f64,
        /// Length of the gradient there.
        norm: f64,
    },
}

impl Error {
    /// Whether the fault lies in how the program was called, so that it should exit with 2.
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Options { .. } | Error::Model { .. } | Error::RunExists { .. } | Error::Contradiction { .. })
    }

    /// Wraps libtorch's refusal with the operation, for `map_err`.
    pub(crate) fn torch(what: &'static str) -> impl FnOnce(tch::TchError) -> Error {
        move |source| Error::Torch { what, source }
    }

    /// An [`Error::Data`] about `path`.
    pub(crate) fn data(path: &Path, why: impl Into<String>) -> Error {
        Error::Data { path: path.to_path_buf(), why: why.into() }
    }
}
