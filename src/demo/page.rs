//! The demo's results as the values of a report page.

use super::results::Results;
use super::tables;
use crate::failure::Failure;
use crate::report::{Accuracy, Confusion, Curve, DuplicatePair, Prediction, ReportData};
use shards::{Extent, PairId, PoolRow, Reason, Sample, TableReader, read_extent};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use training::ZeroShotResult;
use web::Web;

/// Pictures shown of each kind.
const EXAMPLES: usize = 12;
/// Classes in the confusion table: all 120 would be unreadable.
const CONFUSED: usize = 12;
/// Classes listed under a picture.
const LISTED: usize = 3;

/// Gathers what the page shows.
///
/// # Errors
/// When a file of the demo is missing or damaged.
pub fn gather(results: &Results, web: &Web, out: &Path, commands: Vec<String>) -> Result<ReportData, Failure> {
    let percent = |correct: u64, n: u64| format!("{:.1} %", 100.0 * correct as f64 / n.max(1) as f64);
    let verdict = &results.verdict;
    let before = per_query(results.candidates.iter().map(|row| row.query_ids.as_slice()));
    let after = per_query(results.samples.iter().map(|row| row.query_ids.as_slice()));
    let fetched = results.candidates.iter().filter(|row| row.outcome == "fetched").count() as u64;
    let all_seconds = results.seconds.iter().find(|(name, _)| name == "all").map_or(0.0, |(_, seconds)| *seconds);
    Ok(ReportData {
        title: "diptych: the small web".to_string(),
        summary: format!(
            "A web of {} pages was crawled, curated and sharded; a small CLIP model was trained on it and asked to name pictures it had never seen, \
             among {} classes.",
            web.pages(),
            results.evaluation.per_class.len()
        ),
        headline: vec![
            ("top-1, combinations shown".to_string(), percent(results.seen.0, results.seen.1)),
            ("top-1, never shown".to_string(), percent(results.unseen.0, results.unseen.1)),
            ("pairs kept".to_string(), results.pairs_kept().to_string()),
            ("decided otherwise than planted".to_string(), (verdict.planted_wrong + verdict.planted_missed).to_string()),
            ("duplicates found".to_string(), format!("{} of {}", verdict.duplicates_found, verdict.duplicates_planted)),
            ("minutes".to_string(), format!("{:.1}", all_seconds / 60.0)),
        ],
        stages: results.seconds.iter().filter(|(name, _)| name != "all").cloned().collect(),
        funnel: vec![
            ("pairs seen".to_string(), results.candidates.len() as u64),
            ("pairs fetched".to_string(), fetched),
            ("pairs kept".to_string(), results.pairs_kept() as u64),
            ("samples".to_string(), results.samples.len() as u64),
        ],
        refusals: results.refusals().into_iter().collect(),
        pairs_before: before,
        pairs_after: after,
        per_query: Some(web.plan().per_query),
        curves: curves(&out.join("runs/demo/metrics.jsonl"))?,
        accuracies: vec![
            accuracy("combinations shown", results.seen, results.chance()),
            accuracy("combinations never shown", results.unseen, results.chance()),
        ],
        confusion: Some(confusion(&results.evaluation)),
        predictions: predictions(&results.evaluation, &out.join("test-set"))?,
        duplicates: duplicates(&results.reasons, &out.join("corpus/pool"))?,
        commands,
        facts: vec![
            ("program".to_string(), format!("diptych {}", env!("CARGO_PKG_VERSION"))),
            ("libtorch".to_string(), "2.11.0".to_string()),
            ("model".to_string(), results.evaluation.model.clone()),
            ("prompts".to_string(), results.evaluation.templates.join(" | ")),
            ("peak memory".to_string(), format!("{:.2} GiB", results.peak_rss as f64 / f64::from(1 << 30))),
        ],
    })
}

fn accuracy(name: &str, (correct, n): (u64, u64), chance: f64) -> Accuracy {
    Accuracy { name: name.to_string(), correct, n, chance }
}

/// Pairs of each query that has any.
fn per_query<'a>(rows: impl Iterator<Item = &'a [u32]>) -> Vec<u64> {
    let mut counts: HashMap<u32, u64> = HashMap::new();
    for &query in rows.flatten() {
        *counts.entry(query).or_insert(0) += 1;
    }
    counts.into_values().collect()
}

/// Loss, temperature and learning rate over steps.
fn curves(metrics: &Path) -> Result<Vec<Curve>, Failure> {
    let text = std::fs::read_to_string(metrics).map_err(shards::Error::io("read", metrics))?;
    let rows: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let curve = |name: &str, key: &str| Curve {
        name: name.to_string(),
        points: rows.iter().filter_map(|row| Some((row.get("step")?.as_f64()?, row.get(key)?.as_f64()?))).collect(),
    };
    Ok(vec![
        curve("loss", "loss"),
        curve("logit scale", "scale"),
        curve("learning rate", "lr"),
        curve("share of time waiting for data", "data_wait"),
    ])
}

/// The classes that were most often mistaken, against each other.
fn confusion(evaluation: &ZeroShotResult) -> Confusion {
    let mut order: Vec<usize> = (0..evaluation.per_class.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse((evaluation.per_class[at].n - evaluation.per_class[at].correct, at)));
    order.truncate(CONFUSED);
    let count = |truth: usize, answer: usize| evaluation.confusion.get(truth).and_then(|row| row.get(answer)).copied().unwrap_or(0);
    Confusion {
        classes: order.iter().map(|&at| evaluation.per_class[at].name.clone()).collect(),
        counts: order.iter().map(|&truth| order.iter().map(|&answer| count(truth, answer)).collect()).collect(),
    }
}

/// Test pictures spread evenly over the predictions, with what the model said.
fn predictions(evaluation: &ZeroShotResult, test_set: &Path) -> Result<Vec<Prediction>, Failure> {
    let rows = TableReader::<Sample>::read_all(&test_set.join("manifest.parquet"))?;
    let by_key: HashMap<&str, &Sample> = rows.iter().map(|row| (row.sample_key.as_str(), row)).collect();
    let name = |label: u32| evaluation.per_class.get(label as usize).map_or_else(|| label.to_string(), |class| class.name.clone());
    let step = (evaluation.predictions.len() / EXAMPLES).max(1);
    let mut shown = Vec::new();
    for prediction in evaluation.predictions.iter().step_by(step).take(EXAMPLES) {
        let Some(sample) = by_key.get(prediction.sample_key.as_str()) else { continue };
        let top = prediction.top.iter().take(LISTED).map(|&(label, share)| (name(label), f64::from(share))).collect();
        shown.push(Prediction { image: member(&test_set.join(&sample.shard), sample.image())?, truth: name(prediction.label), top });
    }
    Ok(shown)
}

/// Pictures refused as duplicates, beside the picture that was kept.
fn duplicates(reasons: &[Reason], pool: &Path) -> Result<Vec<DuplicatePair>, Failure> {
    let mut places: BTreeMap<PairId, (PathBuf, Extent)> = BTreeMap::new();
    for file in tables(pool)? {
        let tar = file.with_extension("tar");
        places.extend(TableReader::<PoolRow>::read_all(&file)?.into_iter().map(|row| (row.pair_id, (tar.clone(), row.image()))));
    }
    let mut shown = Vec::new();
    for row in reasons.iter().filter(|row| row.reason == "near-duplicate") {
        // The value begins with the pair that was kept.
        let kept = row.value.split_whitespace().find_map(|word| word.parse::<PairId>().ok());
        if let (Some(kept), Some(copy)) = (kept.and_then(|kept| places.get(&kept)), places.get(&row.pair_id)) {
            shown.push(DuplicatePair { kept: member(&kept.0, kept.1)?, copy: member(&copy.0, copy.1)?, reason: row.reason.clone() });
        }
        if shown.len() == EXAMPLES {
            break;
        }
    }
    Ok(shown)
}

fn member(tar: &Path, extent: Extent) -> Result<Vec<u8>, Failure> {
    let file = File::open(tar).map_err(shards::Error::io("open", tar))?;
    Ok(read_extent(&file, tar, extent)?)
}
