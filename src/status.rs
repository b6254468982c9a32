//! `diptych status`: what is done, what is left, and which device would train.

use crate::cli;
use crate::failure::Failure;
use shards::{Meta, Row, Sample, TableReader};
use sql::Catalogue;
use std::path::Path;
use training::DeviceChoice;

/// Prints the state of the corpus, its selections and the runs.
///
/// # Errors
/// What reading them met.
pub fn run(flags: &cli::Status) -> Result<(), Failure> {
    let chosen = DeviceChoice::Auto.choose()?;
    println!("device     {:?}: {}", chosen.device, chosen.why);
    corpus(&flags.corpus)?;
    for folder in folders(&flags.corpus.join("selection")) {
        println!("selection  {}: {} samples", name(&folder), count::<Sample>(&folder.join("manifest.parquet")));
    }
    for folder in folders(&flags.runs) {
        run_line(&folder);
    }
    Ok(())
}

fn corpus(corpus: &Path) -> Result<(), Failure> {
    if Meta::read(corpus, "corpus")?.is_none() {
        println!("corpus     none at {}", corpus.display());
        return Ok(());
    }
    let queries = corpus.join("queries.parquet");
    let list = if queries.exists() { count::<curation::Query>(&queries) } else { "no list".to_string() };
    println!("corpus     {}, queries: {list}", corpus.display());
    let catalogue = corpus.join("catalog.sqlite");
    if !catalogue.exists() {
        println!("crawl      not begun");
        return Ok(());
    }
    let status = Catalogue::open_read_only(&catalogue)?.status()?;
    for source in &status.sources {
        let left = source.jobs_open + source.jobs_leased;
        println!(
            "source     {}:{}, {}; jobs done {}, left {left}; pages done {}, waiting {}",
            source.source.kind,
            source.source.location,
            source.source.state,
            source.jobs_done,
            source.pages_done,
            source.pages_waiting + source.pages_leased
        );
        if left > 0 {
            println!("           the same crawl command goes on with what is left");
        }
    }
    let totals = &status.totals;
    println!(
        "pool       {} pairs of {} candidates in {} segments, {:.1} MiB, from {} hosts",
        totals.pairs,
        totals.candidates,
        totals.segments,
        totals.bytes as f64 / f64::from(1 << 20),
        totals.hosts
    );
    for (outcome, count) in &status.outcomes {
        println!("           {outcome}: {count}");
    }
    Ok(())
}

/// One line on a run: how far it is, by its last metrics.
fn run_line(folder: &Path) {
    let Ok(Some(meta)) = Meta::read(folder, "run") else { return };
    let model =
        meta.properties.get("model").and_then(|model| model.get("name")).and_then(|name| name.as_str()).unwrap_or("a model of its own");
    let last = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
    let last: Option<serde_json::Value> = last.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let field = |key: &str| last.as_ref().and_then(|last| last.get(key)).map_or("?".to_string(), ToString::to_string);
    println!("run        {}: {model}, step {}, epoch {}, loss {}", folder.display(), field("step"), field("epoch"), field("loss"));
}

/// Number of rows of a table, or what is wrong with it.
fn count<R: Row>(table: &Path) -> String {
    TableReader::<R>::open(table).map_or_else(|error| error.to_string(), |reader| reader.row_count().to_string())
}

fn folders(parent: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> =
        std::fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
