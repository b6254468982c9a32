//! The demo's page: the report that any corpus and run has, and what only the demo knows, which is the truth about its web.

use super::results::Results;
use crate::failure::Failure;
use crate::report::{ReportData, Subject, count, gather as report};
use std::path::Path;
use web::Web;

/// Gathers what the page shows.
///
/// # Errors
/// When a file of the demo is missing or damaged.
pub fn gather(results: &Results, web: &Web, out: &Path, commands: Vec<String>) -> Result<ReportData, Failure> {
    let percent = |correct: u64, n: u64| format!("{:.1} %", 100.0 * correct as f64 / n.max(1) as f64);
    let verdict = &results.verdict;
    let all_seconds = results.seconds.iter().find(|(name, _)| name == "all").map_or(0.0, |(_, seconds)| *seconds);
    let (corpus, run) = (out.join("corpus"), out.join("runs/demo"));
    let manifests = [out.join("shards/manifest.parquet"), out.join("test-set/manifest.parquet")];
    let classes = vec![
        ("combinations shown".to_string(), web.plan().seen.clone()),
        ("combinations never shown".to_string(), web.plan().unseen.clone()),
    ];
    let subject = Subject { corpus: Some((&corpus, "default")), run: Some(&run), manifests: &manifests, classes: Some(classes) };
    let mut data = report(&subject)?;
    data.title = "diptych: the small web".to_string();
    data.summary = format!(
        "A web of {} pages was crawled, curated and sharded; a small CLIP model was trained on it and asked to name pictures it had never seen, \
         among {} classes.",
        web.pages(),
        results.evaluation.per_class.len()
    );
    data.headline = vec![
        ("top-1, combinations shown".to_string(), percent(results.seen.0, results.seen.1)),
        ("top-1, never shown".to_string(), percent(results.unseen.0, results.unseen.1)),
        ("pairs kept".to_string(), count(results.pairs_kept() as u64)),
        ("decided otherwise than planted".to_string(), count((verdict.planted_wrong + verdict.planted_missed) as u64)),
        (
            "duplicates found".to_string(),
            format!("{} of {}", count(verdict.duplicates_found as u64), count(verdict.duplicates_planted as u64)),
        ),
        ("false duplicates".to_string(), verdict.duplicates_false.to_string()),
        (
            "decided otherwise than the cap's formula".to_string(),
            format!("{} of {}", count(verdict.cap_wrong as u64), count(verdict.cap_checked as u64)),
        ),
        ("words wrong in the query list".to_string(), verdict.queries_wrong.to_string()),
        ("lapses of the crawl's manners".to_string(), results.conduct.findings().to_string()),
        ("minutes".to_string(), format!("{:.1}", all_seconds / 60.0)),
    ];
    data.stages = results.seconds.iter().filter(|(name, _)| name != "all").cloned().collect();
    data.commands =
        ("the first line does all; the others are the stages it ran, on the small web that it served meanwhile".to_string(), commands);
    data.facts.push(("processor".to_string(), processor()));
    data.facts.push(("libtorch".to_string(), "2.11.0".to_string()));
    data.facts.push(("peak memory".to_string(), format!("{:.2} GiB", results.peak_rss as f64 / f64::from(1 << 30))));
    Ok(data)
}

/// The processor's name, where the system tells it, and the number of its threads.
fn processor() -> String {
    let said = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = said.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim().to_string()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {threads} threads", name.unwrap_or_else(|| std::env::consts::ARCH.to_string()))
}
