//! `diptych pairs`: lists the pairs of URL lists and archives, one JSON object a line.

use crate::cli;
use crate::failure::Failure;
use std::io::BufWriter;

/// Writes the pairs of the sources to stdout; nothing is fetched but the archives themselves.
///
/// # Errors
/// Usage for sources that cannot be listed; otherwise what reading or writing met.
pub fn run(flags: &cli::Pairs) -> Result<(), Failure> {
    let usage = |error: crawler::Error| if error.is_usage() { Failure::Usage(error.to_string()) } else { error.into() };
    let sources = flags.source.iter().map(|source| source.parse()).collect::<Result<Vec<crawler::Source>, _>>().map_err(usage)?;
    let mut options = crawler::CrawlOptions::new("", sources);
    options.contact = flags.contact.clone();
    options.allow_private = flags.allow_private;
    options.limit = flags.limit;
    options.image_size = flags.image_size;
    options.check().map_err(usage)?;
    let mut out = BufWriter::with_capacity(1 << 18, std::io::stdout().lock());
    let seen = crawler::scan(&options, &mut out).map_err(usage)?;
    eprintln!(
        "{} pairs of {} pages or rows, {} damaged records, {} missing or unreadable files",
        seen.pairs, seen.pages, seen.damaged, seen.missing
    );
    Ok(())
}
