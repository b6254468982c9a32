//! The model: two towers that put pictures and texts into one space.

use crate::layers::{Pass, Precision};
use crate::resnet::Resnet;
use crate::small::SmallResnet;
use crate::text::TextTower;
use crate::vars::Vars;
use crate::vit::{Vit, VitShape};
use crate::{Error, ModelConfig, VisionConfig, init::Init};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// A CLIP model on a device. Tensors are named as in OpenAI's and open_clip's files.
pub struct Clip {
    config: ModelConfig,
    device: Device,
    precision: Precision,
    image: ImageTower,
    text: TextTower,
    logit_scale: Tensor,
    vars: Vars,
}

enum ImageTower {
    Vit(Vit),
    Resnet(Resnet),
    Small(SmallResnet),
}

impl Clip {
    /// A fresh model; the same seed gives the same weights on every device.
    ///
    /// # Errors
    /// `Model` when the description breaks a rule.
    pub fn new(config: &ModelConfig, device: Device, seed: u64) -> Result<Self, Error> {
        Self::build(config, device, Some(seed))
    }

    /// A model with the weights of a `.safetensors` file.
    ///
    /// # Errors
    /// `Model`; `Weights` for a damaged file; `Tensor` for a tensor that is missing or of another shape.
    pub fn load(config: &ModelConfig, device: Device, weights: &Path) -> Result<Self, Error> {
        let model = Self::build(config, device, None)?;
        crate::weights::load_into(weights, &model.tensors())?;
        Ok(model)
    }

    /// Writes parameters and buffers to a `.safetensors` file, which appears whole or not at all.
    ///
    /// # Errors
    /// `Shards` when the file cannot be written.
    pub fn save(&self, weights: &Path) -> Result<(), Error> {
        crate::weights::save(weights, &self.tensors())
    }

    pub(crate) fn build(config: &ModelConfig, device: Device, seed: Option<u64>) -> Result<Self, Error> {
        config.check()?;
        let (embed_dim, quick_gelu) = (config.embed_dim, config.quick_gelu);
        let mut vars = Vars::new(device, seed);
        // ln(1 / 0.07), as in the paper.
        let logit_scale = vars.parameter("logit_scale".to_string(), &[], Init::Constant((1.0f32 / 0.07).ln()));
        let image = match &config.vision {
            &VisionConfig::Vit { image_size, layers, width, patch_size, head_width } => {
                ImageTower::Vit(Vit::new(&mut vars, VitShape { image_size, layers, width, patch_size, head_width, embed_dim, quick_gelu }))
            }
            &VisionConfig::Resnet { image_size, layers, width } => {
                ImageTower::Resnet(Resnet::new(&mut vars, image_size, layers, width, embed_dim))
            }
            VisionConfig::SmallResnet { image_size, layers, width } => {
                ImageTower::Small(SmallResnet::new(&mut vars, *image_size, layers, *width, embed_dim))
            }
        };
        let text = TextTower::new(&mut vars, &config.text, embed_dim, quick_gelu);
        Ok(Clip { config: config.clone(), device, precision: Precision::Fp32, image, text, logit_scale, vars })
    }

    /// The same model computing in this precision; weights stay 32 bits.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// What the model is made of.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where its tensors are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The precision it computes in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Unit vectors [batch, embed_dim], 32 bits, for `images` [batch, 3, image_size, image_size], 32 bits, normalised with
    /// [`MEAN`](crate::MEAN) and [`STD`](crate::STD), on the model's device. With `train`, batch norm uses the batch's own
    /// statistics and updates the running ones; gradients are kept in either case unless `tch::no_grad` says otherwise.
    ///
    /// # Panics
    /// When the shape is another one, or the device runs out of memory.
    pub fn encode_image(&self, images: &Tensor, train: bool) -> Tensor {
        let pass = Pass { train, kind: self.precision.kind() };
        unit_rows(&match &self.image {
            ImageTower::Vit(tower) => tower.forward(images, pass),
            ImageTower::Resnet(tower) => tower.forward(images, pass),
            ImageTower::Small(tower) => tower.forward(images, pass),
        })
    }

    /// Unit vectors [batch, embed_dim], 32 bits, for `ids` [batch, length] (Int64) on the model's device; every row has an
    /// end token, `length` is at most the context length and may be cut to the longest text.
    ///
    /// # Panics
    /// When an id is outside the vocabulary, the rows are too long, or the device runs out of memory.
    pub fn encode_text(&self, ids: &Tensor) -> Tensor {
        unit_rows(&self.text.forward(ids, Pass { train: false, kind: self.precision.kind() }))
    }

    /// The logarithm of the factor that similarities are multiplied by, a parameter of no dimensions.
    pub fn logit_scale(&self) -> Tensor {
        self.logit_scale.shallow_clone()
    }

    /// The trained tensors with their names, always in the same order. They share memory with the model.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        copies(&self.vars.parameters)
    }

    /// The kept but untrained tensors (batch norm's running statistics), likewise.
    pub fn buffers(&self) -> Vec<(String, Tensor)> {
        copies(&self.vars.buffers)
    }

    /// All that a file of weights holds.
    fn tensors(&self) -> Vec<(String, Tensor)> {
        let mut tensors = self.parameters();
        tensors.extend(self.buffers());
        tensors
    }
}

fn copies(tensors: &[(String, Tensor)]) -> Vec<(String, Tensor)> {
    tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
}

/// Every row divided by its length, in 32 bits; a row of zeros stays one.
fn unit_rows(x: &Tensor) -> Tensor {
    let x = x.to_kind(Kind::Float);
    &x / x.norm_scalaropt_dim(2, [-1i64], true).clamp_min(1e-12)
}
