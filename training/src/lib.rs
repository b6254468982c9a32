//! CLIP models, tokenizer, loader, trainer and evaluation.
//!
//! - models: [`ModelConfig`] (sizes, read from `models/*.json`), [`Clip`] (the two towers), [`Precision`];
//! - devices: [`DeviceChoice`] and [`Chosen`], which must come before any other use of libtorch;
//! - input: [`Tokenizer`] for texts, [`evaluation_view`], [`resize_crop`] and [`normalise_into`] for pictures;
//! - evaluation: [`zero_shot`], with [`Templates`] that turn class names into texts.

mod clean;
mod clip;
mod config;
mod device;
mod error;
mod init;
mod layers;
mod pictures;
mod preprocess;
mod resnet;
mod small;
mod templates;
mod text;
mod tokenizer;
mod transformer;
mod vars;
mod vit;
mod weights;
mod zeroshot;

pub use clip::{Clip, MODEL_FILE, WEIGHTS_FILE};
pub use config::{ModelConfig, TextConfig, VisionConfig};
pub use device::{Chosen, DeviceChoice, set_threads};
pub use error::Error;
pub use layers::Precision;
pub use preprocess::{Crop, MEAN, STD, evaluation_view, normalise_into, resize_crop};
pub use templates::Templates;
pub use tokenizer::{END, START, Tokenizer, pad};
pub use zeroshot::{ClassResult, Prediction, ZeroShotOptions, ZeroShotResult, class_embeddings, read_classes, zero_shot, zero_shot_with};
