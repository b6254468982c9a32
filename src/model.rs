//! `diptych model`: what models there are, what a file of weights holds, and weights for other libraries.

use crate::cli;
use crate::failure::Failure;
use serde_json::json;
use std::path::Path;
use tch::Device;
use training::{Choices, Clip, ModelConfig, Naming, Understood, VisionConfig};

/// Prints one line of JSON for each model: the shipped ones, or those asked for by name or file.
///
/// # Errors
/// Usage for a name that is no model and no file; otherwise what is wrong with the file.
pub fn show(flags: &cli::ModelShow) -> Result<(), Failure> {
    if flags.models.is_empty() {
        for name in ModelConfig::names() {
            println!("{}", described(&ModelConfig::find(name)?)?);
        }
        return Ok(());
    }
    for name in &flags.models {
        println!("{}", if Path::new(name).exists() { of_file(Path::new(name))? } else { of_name(name)? });
    }
    Ok(())
}

fn of_name(name: &str) -> Result<serde_json::Value, Failure> {
    let config = ModelConfig::find(name).map_err(|error| Failure::Usage(format!("{error}; nor is there a file {name}")))?;
    described(&config)
}

fn of_file(path: &Path) -> Result<serde_json::Value, Failure> {
    if path.extension().is_some_and(|suffix| suffix == "json") {
        return described(&ModelConfig::read(path)?);
    }
    let (model, understood) = Clip::open_as(&training::find_checkpoint(path)?, Device::Cpu, &Choices::default())?;
    let mut described = described(model.config())?;
    let Understood { naming, source, kinds } = understood;
    described["names"] = match naming {
        Naming::OpenAi => "OpenAI's, which open_clip and diptych share",
        Naming::HuggingFace => "Hugging Face's",
    }
    .into();
    described["understood_by"] = source.into();
    described["numbers"] = json!(kinds);
    described["logit_scale"] = json!(model.logit_scale().exp().double_value(&[]));
    Ok(described)
}

/// The description with the counts that follow from it.
fn described(config: &ModelConfig) -> Result<serde_json::Value, Failure> {
    let [trained, kept] = Clip::shapes(config)?;
    let numbers = |image: bool| -> i64 {
        let of_tower = trained.iter().filter(|(name, _)| name != "logit_scale" && name.starts_with("visual.") == image);
        of_tower.map(|(_, shape)| shape.iter().product::<i64>()).sum()
    };
    let kind = match &config.vision {
        VisionConfig::Vit { .. } => "vision transformer",
        VisionConfig::Resnet { .. } => "CLIP's ResNet",
        VisionConfig::SmallResnet { .. } => "small ResNet",
    };
    let (image, text) = (numbers(true), numbers(false));
    Ok(json!({
        "name": config.name, "image_tower": kind, "image_size": config.vision.image_size(), "embed_dim": config.embed_dim,
        "activation": if config.quick_gelu { "quick GELU" } else { "GELU" },
        "parameters": image + text + 1, "image_parameters": image, "text_parameters": text, "entries": trained.len() + kept.len(),
        "model": config,
    }))
}

/// Writes a model's weights and description as another library reads them.
///
/// # Errors
/// What reading the weights met; `Model` when the other library has no such model, `Occupied` when the folder holds something.
pub fn convert(flags: &cli::ModelConvert) -> Result<(), Failure> {
    let quick_gelu = flags.activation.map(|activation| activation == cli::Activation::QuickGelu);
    let choices = Choices { image_size: flags.image_size, quick_gelu };
    let checkpoint = training::find_checkpoint(&flags.weights)?;
    let (model, understood) = Clip::open_as(&checkpoint, Device::Cpu, &choices)?;
    eprintln!("{} understood by {}", checkpoint.display(), understood.source);
    let folder = shards::AtomicFolder::create(&flags.out, "model")?;
    training::export(&model, folder.part(), flags.to, flags.precision.kind())?;
    let merges = training::Tokenizer::path_for(&checkpoint);
    if merges.ends_with(training::MERGES_FILE) {
        let bytes = std::fs::read(&merges).map_err(shards::Error::io("read", &merges))?;
        shards::write_atomic(&folder.part().join(training::MERGES_FILE), &bytes)?;
    }
    folder.commit()?;
    println!("{}", flags.out.display());
    Ok(())
}
