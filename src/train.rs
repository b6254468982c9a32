//! `diptych train`: resolves the flags into a model and a device, and trains.

use crate::cli;
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use std::path::Path;
use tch::Device;
use training::{CheckpointEvery, ModelConfig, TrainOptions, TrainSummary};

/// Trains as the flags say and prints where the model is.
///
/// # Errors
/// Usage for an unknown model or impossible sizes; otherwise what training met.
pub fn run(flags: &cli::Train) -> Result<(), Failure> {
    let summary = train(flags)?;
    println!("{}", summary.checkpoint.display());
    Ok(())
}

/// Trains as the flags say.
///
/// # Errors
/// As [`run`].
pub fn train(flags: &cli::Train) -> Result<TrainSummary, Failure> {
    let chosen = flags.device.choose()?;
    training::set_threads(None);
    let name = match (&flags.model, chosen.device) {
        (Some(name), _) => name.as_str(),
        (None, Device::Cuda(_)) => "ViT-B-32",
        (None, _) => "small-resnet",
    };
    let mut model = if Path::new(name).extension().is_some_and(|suffix| suffix == "json") {
        ModelConfig::read(Path::new(name))?
    } else {
        ModelConfig::find(name).map_err(|error| Failure::Usage(error.to_string()))?
    };
    if let Some(pixels) = flags.image_size {
        model = model.with_image_size(pixels).map_err(|error| Failure::Usage(error.to_string()))?;
    }
    if let Some(merges) = &flags.tokenizer {
        model.text.vocab_size = training::Tokenizer::read(merges)?.vocab_size() as i64;
    }
    eprintln!("training {name} at {} pixels on {chosen}", model.vision.image_size());
    if flags.model.is_none() && chosen.device == Device::Cpu {
        eprintln!("without a GPU the default is small-resnet, which a CPU can train; --model ViT-B-32 insists on the paper's");
    }

    let mut options = TrainOptions::new(flags.manifest.clone(), model, flags.out.clone(), chosen.device);
    options.precision = flags.precision;
    options.epochs = flags.epochs;
    options.batch_size = flags.batch_size;
    options.lr = flags.lr;
    options.warmup = flags.warmup;
    options.weight_decay = flags.weight_decay;
    options.seed = flags.seed;
    options.merges = flags.tokenizer.clone();
    options.augment = flags.augment;
    options.same_caption = flags.same_caption;
    options.resume = flags.resume;
    if let Some(workers) = flags.workers {
        options.workers = workers.max(1);
    }
    if let Some(steps) = flags.checkpoint_every {
        options.checkpoint_every = CheckpointEvery::Steps(steps);
    }
    let usage = |error: training::Error| if error.is_usage() { Failure::Usage(error.to_string()) } else { error.into() };
    options.check().map_err(usage)?;
    let progress = Progress::start("train", Unit::Things("steps"));
    let summary = training::train(&options, &progress.meter).map_err(usage)?;
    drop(progress);
    eprintln!(
        "trained {} of {} steps, {} samples in {:.0} s, loss {:.3}; model in {}",
        summary.steps,
        summary.planned,
        summary.samples,
        summary.seconds,
        summary.loss,
        summary.checkpoint.display()
    );
    if summary.damaged > 0 {
        eprintln!("{} damaged samples were replaced by others", summary.damaged);
    }
    Ok(summary)
}
