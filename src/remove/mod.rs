//! `diptych remove`: takes pictures and pairs down, everywhere, for good.
//!
//! First `removed.parquet` commits in every folder named: from then on readers and later crawls obey it, whatever happens next. Then
//! archives, tables, counts, sums, cards and reports are rewritten. Every step can be done again, so a killed one is: the next call
//! applies all that was ever asked for. Last the runs that trained on any of it are listed.

mod corpus;
mod runs;

use crate::cli;
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use shards::{PairId, Removal, Removed, canonical_text, is_address, take_down, url_name};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Takes down what the flags name and prints a line for each run that trained on it.
///
/// # Errors
/// Usage when nothing is named or a value is no URL, host, hash or pair; otherwise what reading or writing met. What was asked for
/// is obeyed from the first step on, and the same command goes on.
pub fn run(flags: &cli::Remove) -> Result<(), Failure> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64);
    let asked = asked(flags, now_ms)?;
    let corpus = Some(&flags.corpus).filter(|folder| folder.join("meta.json").exists());
    let usual = PathBuf::from("corpus-shards");
    let mut folders = flags.shards.clone();
    if folders.is_empty() && usual.join("manifest.parquet").exists() {
        folders.push(usual);
    }
    if let Some(missing) = folders.iter().find(|folder| !is_address(folder) && !folder.join("manifest.parquet").exists()) {
        return Err(Failure::Usage(format!("{} has no manifest.parquet: it is neither shards nor imported data", missing.display())));
    }
    let places: Vec<&PathBuf> = corpus.into_iter().chain(&folders).collect();
    if places.is_empty() {
        return Err(Failure::Usage(format!(
            "{} is no corpus and there are no shards: name them with --corpus and --shards",
            flags.corpus.display()
        )));
    }
    let mut removed = known(&places)?;
    removed.extend(&asked);
    if removed.is_empty() {
        return Err(Failure::Usage("nothing is named, and nothing was before: --url, --host, --hash or --pair".to_string()));
    }
    record(&places, &removed)?;

    let progress = Progress::start("remove", Unit::Things("rows"));
    let meter = progress.meter.clone();
    let mut done = Done::default();
    if let Some(corpus) = corpus {
        // Samples merge pairs, also of other addresses: shards only know the pairs' ids.
        removed.extend(&corpus::pairs(corpus, &removed, now_ms, &meter)?);
        record(&places, &removed)?;
    }
    for folder in &folders {
        done.add(take_down(folder, folder, true, now_ms)?);
    }
    if let Some(corpus) = corpus {
        let _lock = corpus::lock(corpus)?;
        corpus::rewrite(corpus, now_ms, &mut done, &meter)?;
    }
    let requests: BTreeSet<String> = asked.iter().map(|row| row.because.clone()).collect();
    let trained = runs::trained(&flags.runs, &known(&places)?, &requests)?;
    let reports = runs::forget_reports(corpus.map(PathBuf::as_path), &trained)?;
    drop(progress);
    done.tell(reports);
    for run in &trained {
        println!("trained on it: {}", run.display());
    }
    Ok(())
}

/// What was done, for the summary.
#[derive(Default)]
struct Done {
    samples: u64,
    pairs: u64,
    candidates: u64,
    missed: Vec<String>,
}

impl Done {
    fn add(&mut self, taken: shards::TakenDown) {
        self.samples += taken.samples;
        self.missed.extend(taken.missed);
    }

    fn tell(&self, reports: u64) {
        eprintln!(
            "taken down: {} samples of manifests, {} pairs of the pool, {} candidates; {reports} reports removed",
            self.samples, self.pairs, self.candidates
        );
        for place in &self.missed {
            eprintln!("damaged: {place} has no member where a table says; its bytes were overwritten with zeros");
        }
    }
}

/// What the folders know already, together.
fn known(places: &[&PathBuf]) -> Result<Removed, Failure> {
    let mut removed = Removed::default();
    for place in places {
        removed.extend(Removed::read(place)?.rows());
    }
    Ok(removed)
}

/// Commits what is asked for in every folder that lacks some of it.
fn record(places: &[&PathBuf], removed: &Removed) -> Result<(), Failure> {
    for place in places {
        let mut there = Removed::clone(&*Removed::read(place)?);
        if there.extend(removed.rows()) {
            there.write(place)?;
        }
    }
    Ok(())
}

/// The flags as rows.
fn asked(flags: &cli::Remove, now_ms: i64) -> Result<Vec<Removal>, Failure> {
    let removal = |by: &str, value: String, because: String| Removal { by: by.to_string(), value, because, time_ms: now_ms };
    let mut rows = Vec::new();
    for text in &flags.url {
        let url = url(text).ok_or_else(|| Failure::Usage(format!("--url {text} is no address")))?;
        rows.push(removal("url", url_name(&url), format!("url {}", url_name(&url))));
    }
    for text in &flags.host {
        let host = text.to_ascii_lowercase();
        // The rest of a URL would never match.
        let bare = host.strip_prefix("*.").unwrap_or(&host);
        let is_host = !bare.is_empty() && bare.parse::<std::net::Ipv6Addr>().is_err() && !bare.contains(['/', '?', '#', '@', '*', ' ']);
        let is_known = is_host && url(&format!("http://{bare}/")).is_some();
        if !is_known {
            return Err(Failure::Usage(format!("--host {text} is no host name such as example.org, example.org:8080 or *.example.org")));
        }
        rows.push(removal("host", host.clone(), format!("host {host}")));
    }
    for text in &flags.hash {
        let by = match (text.len(), text.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            (64, true) => "image",
            (32, true) => "pixels",
            _ => return Err(Failure::Usage(format!("--hash {text} is neither an image id (64 hex digits) nor a pixel hash (32)"))),
        };
        let hash = text.to_ascii_lowercase();
        rows.push(removal(by, hash.clone(), format!("hash {hash}")));
    }
    for text in &flags.pair {
        let pair: PairId = text.parse().map_err(|why| Failure::Usage(format!("--pair {why}")))?;
        rows.push(removal("pair", pair.to_string(), format!("pair {pair}")));
    }
    Ok(rows)
}

/// A URL as tables hold it.
fn url(text: &str) -> Option<String> {
    if text.starts_with("data:") {
        return Some(text.to_string());
    }
    canonical_text(text)
}
