//! `diptych curate`: the selection from the pool.

use crate::cli;
use crate::corpus::{CRAWLED_CAP, Properties, is_only_imported, room};
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use curation::SelectOptions;
use std::path::Path;

/// Selects and says what each rule removed.
///
/// # Errors
/// Usage when the folder is no corpus, a rule is unknown or the name is none of a folder; otherwise what reading or writing met.
pub fn run(flags: &cli::Curate) -> Result<(), Failure> {
    let properties = Properties::read(&flags.corpus)?;
    let mut behind = None;
    let mut options = SelectOptions::new(&flags.corpus);
    options.name = flags.name.clone();
    options.per_query = flags.per_query;
    options.filters.off = flags.without.clone();
    options.filters.max_pictures = flags.max_pictures;
    options.filters.check().map_err(|error| Failure::Usage(error.to_string()))?;
    let catalogue = flags.corpus.join("catalog.sqlite");
    if catalogue.exists() {
        let catalogue = sql::Catalogue::open_read_only(&catalogue)?;
        let held = catalogue.segments_held()?;
        whole(&flags.corpus, &held)?;
        options.segments = Some(held.iter().map(|segment| segment.id).collect());
        options.fetched = match catalogue.recall(CRAWLED_CAP)?.and_then(|text| text.parse::<u64>().ok()) {
            // What was imported was not capped.
            None => is_only_imported(&flags.corpus)?.then_some(0),
            fetched => fetched,
        };
        behind = options
            .fetched
            .filter(|&fetched| flags.corpus.join("queries.parquet").exists() && room(fetched) < room(properties.crawl_cap()));
        // Of a list its name: the way to it is this machine's affair.
        let place = |source: &sql::Source| match source.kind.as_str() {
            "web" => source.location.clone(),
            _ => source.location.rsplit('/').next().unwrap_or_default().to_string(),
        };
        options.sources = catalogue.sources()?.iter().map(|source| format!("{}:{}", source.kind, place(source))).collect();
    }
    let progress = Progress::start("curate", Unit::Things("pairs"));
    let summary = curation::select(&options, &progress.meter).map_err(|error| match error {
        curation::Error::Name { .. } => Failure::Usage(error.to_string()),
        error => error.into(),
    })?;
    drop(progress);
    eprintln!("kept {} of {} pairs as {} samples", summary.kept, summary.pairs, summary.samples);
    for (rule, removed) in summary.removed.iter().filter(|(_, removed)| *removed > 0) {
        eprintln!("  {rule}: {removed}");
    }
    if summary.pairs == 0 {
        eprintln!("the pool is empty: diptych crawl or diptych import fills it");
    } else if summary.samples == 0 {
        eprintln!("nothing is left to train on: a filter that is too strict goes off with --without NAME");
    }
    if let Some(fetched) = behind {
        eprintln!(
            "the pool was fetched for at most {fetched} pairs a query and the raise to {} was cut off, so queries cannot reach their cap until \
             the crawl has gone on: diptych crawl --corpus {} --per-query {}",
            properties.crawl_cap(),
            flags.corpus.display(),
            properties.per_query
        );
    } else if summary.unreachable > 0 {
        eprintln!(
            "{} queries cannot reach --per-query because the crawl fetched for a lower one; diptych crawl --corpus {} --per-query N raises it",
            summary.unreachable,
            flags.corpus.display()
        );
    }
    if summary.comparisons_left_out > 0 {
        eprintln!(
            "{} comparisons of look-alikes were left out in crowded places; some near-duplicates may remain",
            summary.comparisons_left_out
        );
    }
    println!("{}", flags.corpus.join("selection").join(&flags.name).join("manifest.parquet").display());
    Ok(())
}

/// Sees that the tables of all committed segments are there: counts of a corpus that lacks some are all wrong.
fn whole(corpus: &Path, held: &[sql::SegmentHeld]) -> Result<(), Failure> {
    let tables = held.iter().flat_map(|segment| {
        let pool = (segment.pairs > 0).then(|| format!("pool/{:05}.parquet", segment.id));
        [Some(format!("candidates/{:05}.parquet", segment.id)), pool].into_iter().flatten()
    });
    match tables.map(|table| corpus.join(table)).find(|path| !path.exists()) {
        Some(path) => {
            let why = "it is missing, and a finished job made it: see diptych verify, or put back a copy".to_string();
            Err(shards::Error::Unusable { path, why }.into())
        }
        None => Ok(()),
    }
}
