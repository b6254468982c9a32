//! `diptych shard` and `diptych import`: manifests with tars of their own.

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
    let mut options = ShuffleOptions::new(&flags.manifest, &flags.out);
    options.holdout = flags.holdout;
    options.seed = flags.seed;
    options.samples_per_shard = flags.shard_samples;
    let progress = Progress::start("shard", Unit::Things("samples"));
    let summary = shards::shuffle(&options, &progress.meter)?;
    drop(progress);
    eprintln!("wrote {} samples in {} shards; held out {}", summary.samples, summary.shards, summary.held_out);
    for damaged in summary.damaged.iter().take(20) {
        eprintln!("  left out a damaged sample: {damaged}");
    }
    println!("{}", flags.out.join("manifest.parquet").display());
    Ok(())
}

/// Imports another dataset and says what was found.
///
/// # Errors
/// Usage for an unknown kind; otherwise what reading or writing met.
pub fn import(flags: &cli::Import) -> Result<(), Failure> {
    let from: shards::ImportSource = flags.from.parse().map_err(Failure::Usage)?;
    let progress = Progress::start("import", Unit::Things("samples"));
    let summary = shards::import(&from, &flags.out, &progress.meter)?;
    drop(progress);
    eprintln!("imported {} samples, {} classes", summary.samples, summary.classes);
    for (reason, count) in &summary.refused {
        eprintln!("  refused {count}: {reason}");
    }
    println!("{}", flags.out.join("manifest.parquet").display());
    Ok(())
}
