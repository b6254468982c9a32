//! CLIP models, tokenizer, loader, trainer and evaluation.
//!
//! - models: [`ModelConfig`] (sizes, read from `models/*.json`), [`Clip`] (the two towers), [`Precision`];
//! - devices: [`DeviceChoice`] and [`Chosen`], which must come before any other use of libtorch;
//! - weights: [`Clip::open`] reads other libraries' files, [`export`] writes them;
//! - input: [`Tokenizer`] for texts and [`WordCounts`] to learn one, [`evaluation_view`], [`resize_crop`] and [`normalise_into`] for pictures;
//! - training: [`train`] by [`TrainOptions`], over [`Samples`] of [`Source`]s that a [`Loader`] brings in [`Batch`]es; a run's [`Checkpoints`]
//!   ([`find_checkpoint`] finds one again), [`Metrics`] and TensorBoard events;
//! - evaluation: [`zero_shot`], with [`Templates`] that turn class names into texts.

mod archive;
mod augment;
mod badness;
mod batch;
mod buffer;
mod captions;
mod checkpoint;
mod clean;
mod clip;
mod config;
mod decode;
mod device;
mod draws;
mod entities;
mod epoch;
mod error;
mod events;
mod export;
mod feed;
#[cfg(test)]
mod first_values;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod golden;
mod infer;
mod init;
mod layers;
mod loader;
mod loss;
mod member;
mod merges;
mod metrics;
mod mojibake;
mod naming;
mod optimiser;
mod options;
mod order;
mod pickle;
mod pictures;
mod preprocess;
mod resnet;
mod run;
mod samples;
mod scaling;
mod schedule;
mod small;
mod source;
mod stored;
mod tars;
mod templates;
mod text;
mod tokenizer;
mod trainer;
mod transformer;
mod vars;
mod vit;
mod weights;
mod window;
mod words;
mod zeroshot;

pub use augment::Augment;
pub use batch::{Batch, Damaged};
pub use checkpoint::{Checkpoints, State, find_checkpoint};
pub use clip::{Choices, Clip, MODEL_FILE, Shapes, Understood, WEIGHTS_FILE};
pub use config::{ModelConfig, TextConfig, VisionConfig};
pub use device::{Chosen, DeviceChoice, set_threads};
pub use error::Error;
pub use export::{Layout, export};
pub use layers::Precision;
pub use loader::{LOADER_VERSION, Loader, LoaderOptions, LoaderTimes, Position, Tokenize};
pub use loss::{SameCaption, contrastive};
pub use merges::{Learned, WordCounts};
pub use metrics::Metrics;
pub use naming::Naming;
pub use optimiser::{AdamW, AdamWSettings};
pub use options::{CheckpointEvery, TrainOptions};
pub use preprocess::{Crop, MEAN, STD, evaluation_view, normalise_into, resize_crop};
pub use samples::Samples;
pub use scaling::LossScale;
pub use schedule::Schedule;
pub use source::Source;
pub use templates::Templates;
pub use tokenizer::{END, MERGES_FILE, START, Tokenizer, pad};
pub use trainer::{TrainSummary, train};
pub use zeroshot::{ClassResult, Prediction, ZeroShotOptions, ZeroShotResult, class_embeddings, read_classes, zero_shot, zero_shot_with};
