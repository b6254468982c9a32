//! What a demo came to: read back from the files of its stages, judged against the plan, written as JSON, table and page.

use super::tables;
use crate::corpus::{HEADROOM, Properties};
use crate::failure::Failure;
use serde_json::json;
use shards::{Candidate, Reason, Sample, TableReader};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use training::ZeroShotResult;
use web::{Conduct, Found, Verdict, Web};

/// Everything that the report needs.
pub struct Results {
    /// Seconds by stage, `all` last.
    pub seconds: Vec<(String, f64)>,
    /// All decisions of the crawl.
    pub candidates: Vec<Candidate>,
    /// All decisions of the selection.
    pub reasons: Vec<Reason>,
    /// The samples that were kept.
    pub samples: Vec<Sample>,
    /// The judgement against the plan.
    pub verdict: Verdict,
    /// How the crawl behaved.
    pub conduct: Conduct,
    /// Zero-shot classification of the test pictures among all classes.
    pub evaluation: ZeroShotResult,
    /// Correct and all test pictures of classes that were shown.
    pub seen: (u64, u64),
    /// Correct and all test pictures of classes that never were.
    pub unseen: (u64, u64),
    /// Largest memory of this process so far, in bytes.
    pub peak_rss: u64,
}

impl Results {
    /// Reads what the stages left in `out`.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn read(out: &Path, web: &Web, base: &str, seconds: Vec<(String, f64)>) -> Result<Self, Failure> {
        let mut candidates = Vec::new();
        for file in tables(&out.join("corpus/candidates"))? {
            candidates.extend(TableReader::<Candidate>::read_all(&file)?);
        }
        let selection = out.join("corpus/selection/default");
        let reasons = TableReader::<Reason>::read_all(&selection.join("reasons.parquet"))?;
        let samples = TableReader::<Sample>::read_all(&selection.join("manifest.parquet"))?;
        let (properties, queries) = (Properties::read(&out.join("corpus"))?, query_texts(&out.join("corpus/queries.parquet"))?);
        let found = Found {
            base,
            per_query: properties.per_query,
            headroom: HEADROOM,
            seed: properties.seed,
            queries: &queries,
            candidates: &candidates,
            reasons: &reasons,
            samples: &samples,
        };
        let verdict = web::judge(web.plan(), &found);
        let conduct = web.conduct();
        let path = out.join("runs/demo/evals/zero-shot-test.json");
        let text = std::fs::read(&path).map_err(shards::Error::io("read", &path))?;
        let evaluation: ZeroShotResult =
            serde_json::from_slice(&text).map_err(|error| shards::Error::Json { path: path.clone(), why: error.to_string() })?;
        let tally = |classes: &[String]| {
            let rows = evaluation.per_class.iter().filter(|row| classes.contains(&row.name));
            rows.fold((0, 0), |(correct, n), row| (correct + row.correct, n + row.n))
        };
        let (seen, unseen) = (tally(&web.plan().seen), tally(&web.plan().unseen));
        Ok(Results { seconds, candidates, reasons, samples, verdict, conduct, evaluation, seen, unseen, peak_rss: peak_rss() })
    }

    /// Pairs that the selection keeps.
    pub fn pairs_kept(&self) -> usize {
        self.reasons.iter().filter(|reason| reason.kept).count()
    }

    /// Accuracy of guessing.
    pub fn chance(&self) -> f64 {
        1.0 / self.evaluation.per_class.len().max(1) as f64
    }

    /// Pairs by what the crawl, and then the selection, decided.
    pub fn refusals(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        let crawl = self.candidates.iter().filter(|row| row.outcome != shards::outcome::OK).map(|row| format!("crawl: {}", row.outcome));
        let curate = self.reasons.iter().filter(|row| !row.kept).map(|row| format!("curate: {}", row.reason));
        for reason in crawl.chain(curate) {
            *counts.entry(reason).or_insert(0) += 1;
        }
        counts
    }

    /// Writes the figures as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_json(&self, path: &Path) -> Result<(), Failure> {
        let seconds: serde_json::Map<String, serde_json::Value> =
            self.seconds.iter().map(|(name, seconds)| (name.clone(), json!((seconds * 100.0).round() / 100.0))).collect();
        let report = json!({
            "pairs_kept": self.pairs_kept(),
            "samples": self.samples.len(),
            "planted_missed": self.verdict.planted_missed,
            "planted_wrong": self.verdict.planted_wrong,
            "duplicates_planted": self.verdict.duplicates_planted,
            "duplicates_found": self.verdict.duplicates_found,
            "duplicates_false": self.verdict.duplicates_false,
            "cap_checked": self.verdict.cap_checked,
            "cap_wrong": self.verdict.cap_wrong,
            "crowded_queries": self.verdict.crowded_queries,
            "queries_wrong": self.verdict.queries_wrong,
            "forbidden_asked": self.conduct.forbidden_asked,
            "impatient": self.conduct.impatient,
            "hurried": self.conduct.hurried,
            "lost": self.conduct.lost,
            "refusals": self.refusals(),
            "top1_seen": share(self.seen),
            "top1_unseen": share(self.unseen),
            "classes": self.evaluation.per_class.len(),
            "chance": self.chance(),
            "seconds": seconds,
            "peak_rss_bytes": self.peak_rss,
            "details": self.verdict.details,
        });
        let text = serde_json::to_string_pretty(&report)? + "\n";
        Ok(shards::write_atomic(path, text.as_bytes())?)
    }
}

/// The texts of the queries in use, by id.
fn query_texts(list: &Path) -> Result<Vec<String>, Failure> {
    let mut rows = TableReader::<curation::Query>::read_all(list)?;
    rows.retain(|query| query.cut.is_empty());
    rows.sort_by_key(|query| query.id);
    Ok(rows.into_iter().map(|query| query.text).collect())
}

fn share((correct, all): (u64, u64)) -> f64 {
    correct as f64 / all.max(1) as f64
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = &self.verdict;
        writeln!(f, "\npairs seen           {:>8}", self.candidates.len())?;
        writeln!(f, "pairs fetched        {:>8}", self.reasons.len())?;
        writeln!(f, "pairs kept           {:>8}   as {} samples", self.pairs_kept(), self.samples.len())?;
        for (reason, count) in self.refusals() {
            writeln!(f, "  {reason:<24} {count:>6}")?;
        }
        writeln!(f, "planted pairs        {:>8} missed, {} decided otherwise than planted", verdict.planted_missed, verdict.planted_wrong)?;
        writeln!(
            f,
            "planted duplicates   {:>8} found of {}, {} false",
            verdict.duplicates_found, verdict.duplicates_planted, verdict.duplicates_false
        )?;
        writeln!(
            f,
            "cap                  {:>8} decided otherwise than the formula, of {}; {} crowded queries",
            verdict.cap_wrong, verdict.cap_checked, verdict.crowded_queries
        )?;
        writeln!(f, "query list           {:>8} words wrong", verdict.queries_wrong)?;
        writeln!(f, "crawl's manners      {:>8} findings", self.conduct.findings())?;
        for finding in self.conduct.forbidden_asked.iter().chain(&self.conduct.hurried).chain(&self.conduct.lost).take(5) {
            writeln!(f, "  {finding}")?;
        }
        for detail in verdict.details.iter().take(5) {
            writeln!(f, "  {detail}")?;
        }
        let percent = |tally| 100.0 * share(tally);
        writeln!(f, "top-1, shown         {:>7.1}%   {} test pictures", percent(self.seen), self.seen.1)?;
        writeln!(f, "top-1, never shown   {:>7.1}%   {} test pictures", percent(self.unseen), self.unseen.1)?;
        writeln!(f, "chance               {:>7.1}%   {} classes", 100.0 * self.chance(), self.evaluation.per_class.len())?;
        for (name, seconds) in &self.seconds {
            writeln!(f, "  {name:<24} {seconds:>6.1} s")?;
        }
        write!(f, "peak memory          {:>7.2} GiB", self.peak_rss as f64 / f64::from(1 << 30))
    }
}

/// The kernel's high-water mark of this process' memory in bytes; 0 where it does not tell.
fn peak_rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}
