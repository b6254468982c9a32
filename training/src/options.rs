//! What a training is told to do, and which of it makes it another training.

use crate::augment::Augment;
use crate::loss::SameCaption;
use crate::optimiser::AdamWSettings;
use crate::samples::Samples;
use crate::schedule::Schedule;
use crate::{Error, ModelConfig, Precision, Source, VisionConfig};
use shards::Meta;
use std::path::PathBuf;
use std::time::Duration;
use tch::Device;

/// When checkpoints are written, besides the one at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CheckpointEvery {
    /// After so many steps.
    Steps(u64),
    /// After the first step that ends so long after the last checkpoint.
    Time(Duration),
}

/// A training.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// The manifests whose samples of split `train` are used, all together.
    pub manifests: Vec<Source>,
    /// The model, with the size of its pictures.
    pub model: ModelConfig,
    /// The run's folder.
    pub out: PathBuf,
    /// Where to compute.
    pub device: Device,
    /// In what precision.
    pub precision: Precision,
    /// Passes over the samples; fractions are meant.
    pub epochs: f64,
    /// Samples in a step.
    pub batch_size: usize,
    /// The highest learning rate.
    pub lr: f64,
    /// Steps in which the rate rises to it.
    pub warmup: u64,
    /// Weight decay of matrices.
    pub weight_decay: f64,
    /// Longest gradient; longer ones are shortened to it.
    pub clip_norm: Option<f64>,
    /// Seed of the weights, the order and the views.
    pub seed: u64,
    /// The tokenizer's merges file, which the run keeps a copy of; without it, [`Tokenizer::default_path`](crate::Tokenizer::default_path).
    pub merges: Option<PathBuf>,
    /// Threads that decode.
    pub workers: usize,
    /// How pictures are varied.
    pub augment: Augment,
    /// How equal captions in a batch are seen.
    pub same_caption: SameCaption,
    /// When checkpoints are written.
    pub checkpoint_every: CheckpointEvery,
    /// Go on with the run in `out` if there is one.
    pub resume: bool,
    /// Stop after the first step that ends so long after the start, with a checkpoint to go on from.
    pub max_time: Option<Duration>,
}

impl TrainOptions {
    /// Options for `manifests`, `model` and `out`; the rest as CLIP's authors had it where one machine allows that: their
    /// rate of 5e-4, decay of 0.2, 32 epochs; but batches of 256 and a warm-up of 200 steps.
    pub fn new<S: Into<Source>>(manifests: Vec<S>, model: ModelConfig, out: PathBuf, device: Device) -> Self {
        TrainOptions {
            manifests: manifests.into_iter().map(S::into).collect(),
            model,
            out,
            device,
            precision: Precision::default(),
            epochs: 32.0,
            batch_size: 256,
            lr: 5e-4,
            warmup: 200,
            weight_decay: 0.2,
            clip_norm: None,
            seed: 0,
            merges: None,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            augment: Augment::default(),
            same_caption: SameCaption::default(),
            checkpoint_every: CheckpointEvery::Time(Duration::from_secs(600)),
            resume: false,
            max_time: None,
        }
    }

    /// Checks what can be checked before anything is read.
    ///
    /// # Errors
    /// `Options` with the rule, `Model` for impossible sizes.
    pub fn check(&self) -> Result<(), Error> {
        let rule = |holds: bool, why: &str| if holds { Ok(()) } else { Err(Error::Options { why: why.to_string() }) };
        rule(!self.manifests.is_empty(), "at least one manifest is needed")?;
        // One pair has nothing to be told apart from.
        rule((2..=1 << 20).contains(&self.batch_size), "the batch size must be 2 to 1,048,576")?;
        rule(self.epochs > 0.0 && self.epochs <= 1e6, "epochs must be above 0 and at most 1,000,000")?;
        rule(self.lr > 0.0 && self.lr.is_finite(), "the learning rate must be a number above 0")?;
        rule((0.0..=1e3).contains(&self.weight_decay), "the weight decay must be 0 to 1000")?;
        rule(self.clip_norm.is_none_or(|norm| norm > 0.0), "the longest gradient must be above 0")?;
        rule(self.checkpoint_every != CheckpointEvery::Steps(0), "checkpoints must be at least one step apart")?;
        self.model.check()
    }

    /// The learning rate over all steps of the training: whole batches in `epochs` passes, at least one.
    pub fn schedule(&self, samples: &Samples) -> Schedule {
        let steps = (self.epochs * samples.epoch_length() as f64 / self.batch_size as f64) as u64;
        Schedule { peak: self.lr, warmup: self.warmup, steps: steps.max(1) }
    }

    /// The optimiser's constants, by the image tower's family.
    pub fn optimiser(&self) -> AdamWSettings {
        let vit = matches!(self.model.vision, VisionConfig::Vit { .. });
        AdamWSettings { clip_norm: self.clip_norm, ..AdamWSettings::clip(vit, self.weight_decay) }
    }

    /// The run's description: everything that changes what comes out, and the manifests by hash.
    ///
    /// # Errors
    /// `Shards` when a manifest cannot be read.
    pub fn meta(&self) -> Result<Meta, Error> {
        let model = serde_json::to_value(&self.model).map_err(|error| Error::Options { why: error.to_string() })?;
        let mut meta = Meta::new("run")
            .with("model", model)
            .with("precision", self.precision.to_string())
            .with("epochs", self.epochs)
            .with("batch_size", self.batch_size)
            .with("lr", self.lr)
            .with("warmup", self.warmup)
            .with("weight_decay", self.weight_decay)
            .with("clip_norm", self.clip_norm)
            .with("seed", self.seed)
            .with("augment", self.augment.to_string())
            .with("same_caption", self.same_caption.to_string());
        for (i, source) in self.manifests.iter().enumerate() {
            let role = if i == 0 { "manifest".to_string() } else { format!("manifest_{}", i + 1) };
            if source.weight != 1.0 {
                meta = meta.with(&format!("{role}_weight"), source.weight);
            }
            meta = meta.with_parent(&role, &source.manifest)?;
        }
        if let Some(merges) = &self.merges {
            meta = meta.with_parent("tokenizer", merges)?;
        }
        Ok(meta)
    }
}
