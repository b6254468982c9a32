//! CLIP models, tokenizer, loader, trainer and evaluation.
//!
//! - models: [`ModelConfig`] (sizes, read from `models/*.json`), [`Clip`] (the two towers), [`Precision`];
//! - devices: [`DeviceChoice`] and [`Chosen`], which must come before any other use of libtorch;
//! - input: [`Tokenizer`] for texts, [`evaluation_view`], [`resize_crop`] and [`normalise_into`] for pictures.

mod clean;
mod clip;
mod config;
mod device;
mod error;
mod init;
mod layers;
mod preprocess;
mod resnet;
mod small;
mod text;
mod tokenizer;
mod transformer;
mod vars;
mod vit;
mod weights;

pub use clip::Clip;
pub use config::{ModelConfig, TextConfig, VisionConfig};
pub use device::{Chosen, DeviceChoice, set_threads};
pub use error::Error;
pub use layers::Precision;
pub use preprocess::{Crop, MEAN, STD, evaluation_view, normalise_into, resize_crop};
pub use tokenizer::{END, START, Tokenizer, pad};
