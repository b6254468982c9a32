//! `diptych shard` and `diptych import`: manifests with tars of their own.

use crate::cli;
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use shards::{ImportOptions, ShuffleOptions};

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
    eprintln!("wrote {} samples in {} shards; held out {}", summary.samples, summary.shards, summary.val);
    if summary.damaged > 0 {
        eprintln!("left out {} damaged samples:", summary.damaged);
        summary.damaged_names.iter().for_each(|name| eprintln!("  {name}"));
    }
    println!("{}", flags.out.join("manifest.parquet").display());
    Ok(())
}

/// Imports another dataset and says what was found.
///
/// # Errors
/// Usage for an unknown kind; otherwise what reading or writing met.
pub fn import(flags: &cli::Import) -> Result<(), Failure> {
    if !["folder:", "tar:"].iter().any(|kind| flags.from.starts_with(kind)) {
        return Err(Failure::Usage(format!("{:?} is neither folder:DIR nor tar:PATH", flags.from)));
    }
    let options = ImportOptions { split: flags.split.clone(), ..ImportOptions::default() };
    let progress = Progress::start("import", Unit::Things("samples"));
    let summary = shards::import(&flags.from, &flags.out, &options, &progress.meter)?;
    drop(progress);
    eprintln!("imported {} samples, {} classes", summary.samples, summary.classes);
    for (reason, count) in &summary.left_out {
        eprintln!("  left out {count}: {reason}");
    }
    println!("{}", flags.out.join("manifest.parquet").display());
    Ok(())
}
