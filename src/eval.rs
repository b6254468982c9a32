//! `diptych eval`: accuracy of a trained model on a manifest's split.

use crate::cli;
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use std::path::{Path, PathBuf};
use training::ZeroShotOptions;

/// Classifies without training on the classes, writes every prediction and prints the accuracy as JSON.
///
/// # Errors
/// What reading the checkpoint or the manifest met.
pub fn zero_shot(flags: &cli::ZeroShot) -> Result<(), Failure> {
    let chosen = flags.device.choose()?;
    training::set_threads(None);
    let options = ZeroShotOptions {
        checkpoint: flags.checkpoint.clone(),
        manifest: flags.manifest.clone(),
        split: flags.split.clone(),
        templates: flags.templates.clone(),
        classes: None,
        batch_size: flags.batch_size,
        device: chosen.device,
        precision: flags.precision,
        merges: None,
    };
    let progress = Progress::start("eval", Unit::Things("images"));
    let result = training::zero_shot(&options, &progress.meter)?;
    drop(progress);
    let out = flags.out.clone().unwrap_or_else(|| default_out(&flags.checkpoint, &flags.split));
    let mut text = serde_json::to_vec(&result)?;
    text.push(b'\n');
    shards::write_atomic(&out, &text)?;
    eprintln!(
        "top-1 {:.2} %, top-5 {:.2} %, mean per class {:.2} % on {} images of split {}; every prediction in {}",
        100.0 * result.top1,
        100.0 * result.top5,
        100.0 * result.mean_per_class,
        result.n,
        result.split,
        out.display()
    );
    if result.damaged + result.unlabelled > 0 {
        eprintln!("left out: {} damaged images, {} without a label", result.damaged, result.unlabelled);
    }
    println!("{}", serde_json::json!({ "n": result.n, "top1": result.top1, "top5": result.top5, "mean_per_class": result.mean_per_class }));
    Ok(())
}

/// `evals/zero-shot-SPLIT.json` in the run's folder; a checkpoint lies two folders below it.
fn default_out(checkpoint: &Path, split: &str) -> PathBuf {
    let run = checkpoint.ancestors().take(3).find(|folder| folder.join("meta.json").exists()).unwrap_or(checkpoint);
    run.join("evals").join(format!("zero-shot-{split}.json"))
}
