//! `diptych shard`: a manifest with tars of its own.

use crate::cli;
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use shards::ShuffleOptions;

/// Writes shuffled shards and says what went into them.
///
/// # Errors
/// Usage for a holdout outside 0 to 1; otherwise what reading or writing met.
pub fn run(flags: &cli::Shard) -> Result<(), Failure> {
    if !(0.0..=1.0).contains(&flags.holdout) {
        return Err(Failure::Usage(format!("--holdout {} is not a share from 0 to 1", flags.holdout)));
    }
    if flags.shard_samples == 0 {
        return Err(Failure::Usage("--shard-samples 0 leaves no room for a sample".to_string()));
    }
    if flags.shard_bytes == 0 {
        return Err(Failure::Usage("--shard-bytes 0 leaves no room for a sample".to_string()));
    }
    let mut options = ShuffleOptions::new(&flags.manifest, &flags.out);
    options.holdout = flags.holdout;
    options.seed = flags.seed;
    options.samples_per_shard = flags.shard_samples;
    options.max_shard_bytes = flags.shard_bytes;
    let progress = Progress::start("shard", Unit::Things("samples"));
    let summary = shards::shuffle(&options, &progress.meter)?;
    drop(progress);
    eprintln!("wrote {} samples in {} shards; held out {}", summary.samples, summary.shards, summary.val);
    if summary.samples == 0 {
        eprintln!("the manifest names no sample that can be written, so there is nothing to train on");
    }
    if summary.damaged > 0 {
        eprintln!("left out {} damaged samples:", summary.damaged);
        summary.damaged_names.iter().for_each(|name| eprintln!("  {name}"));
    }
    println!("{}", flags.out.join("manifest.parquet").display());
    Ok(())
}
