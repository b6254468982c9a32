//! `diptych wordlist`: the query list from Wikipedia dumps.

use crate::cli;
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use curation::WordlistOptions;

/// Makes the list and says what went into it.
///
/// # Errors
/// What reading the dumps or writing the list met.
pub fn run(flags: &cli::Wordlist) -> Result<(), Failure> {
    let mut options = WordlistOptions::new(flags.dump.clone(), flags.out.clone());
    options.min_count = flags.min_count;
    options.limit = flags.limit;
    options.add = flags.add.clone();
    let progress = Progress::start("wordlist", Unit::Bytes);
    let summary = curation::wordlist(&options, &progress.meter)?;
    drop(progress);
    eprintln!(
        "read {} pages, {} of them articles: {} words, {} different; kept {} queries ({} added by hand), cut {} beyond the limit",
        summary.pages, summary.articles, summary.words, summary.distinct, summary.kept, summary.added, summary.cut
    );
    if summary.shortened > 0 {
        eprintln!("{} articles were longer than the cap on one text and counted up to it", summary.shortened);
    }
    println!("{}", flags.out.display());
    Ok(())
}
