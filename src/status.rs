//! `diptych status`: for each stage what is done, what is left, how fast it goes, what failed and how to try again; and which
//! device would train. Reads descriptions and the catalogue, no rows.

use crate::cli;
use crate::failure::{Failure, chain};
use serde_json::Value;
use shards::{HostDelta, Meta, TableReader, hash_file, outcome};
use sql::{Catalogue, SegmentHeld, SourceStatus};
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use training::{DeviceChoice, Metrics};

/// Segments over which the crawl's pace is taken.
const PACE_SEGMENTS: usize = 20;
/// The least time that a pace is taken over: jobs that ran side by side end within moments of each other.
const PACE_MS: u64 = 10 * 1000;
/// A longer silence between two segments is a pause, not work.
const PAUSE_MS: u64 = 15 * 60 * 1000;
/// Hosts named for their slowness, and the least requests that a host must have had to be among them.
const SLOW_HOSTS: usize = 3;
const MIN_REQUESTS: u64 = 3;

/// Prints the state of every stage.
///
/// # Errors
/// What reading them met.
pub fn run(flags: &cli::Status) -> Result<(), Failure> {
    line("device", asked_device());
    let pairs = corpus(&flags.corpus)?;
    let mut manifests = Vec::new();
    let folders_found = folders(&flags.corpus.join("selection"));
    if folders_found.is_empty() && pairs.is_some() {
        line("curate", format!("not done; run: diptych curate --corpus {}", flags.corpus.display()));
    }
    for folder in folders_found {
        selection(&folder, pairs)?;
        manifests.push(folder.join("manifest.parquet"));
    }
    for folder in crate::sql::shard_folders(&flags.shards) {
        shards(&folder, &manifests)?;
        manifests.push(folder.join("manifest.parquet"));
    }
    let runs = folders(&flags.runs);
    if runs.is_empty() {
        line("train", format!("no run in {}", flags.runs.display()));
    }
    runs.iter().for_each(|folder| run_lines(folder));
    Ok(())
}

/// Prints which device would train, and why.
///
/// # Errors
/// When libtorch's own answer is an error.
pub fn device() -> Result<(), Failure> {
    println!("{}", DeviceChoice::Auto.choose()?);
    Ok(())
}

/// What the half of the program says that has libtorch. A machine that only collects need not have it.
fn asked_device() -> String {
    let said = crate::with_torch().and_then(|path| std::process::Command::new(path).arg("device").output());
    match said {
        Ok(said) if said.status.success() => String::from_utf8_lossy(&said.stdout).trim().to_string(),
        Ok(said) => format!("not known: {}", String::from_utf8_lossy(&said.stderr).trim()),
        Err(_) => format!("none: {} is not here, so nothing can be trained", crate::WITH_TORCH),
    }
}

/// A stage's line: its name in a column of its own, empty for what goes on from the line above.
fn line(stage: &str, text: String) {
    // Whoever reads may have seen enough.
    if writeln!(std::io::stdout(), "{stage:<10} {text}").is_err() {
        std::process::exit(0);
    }
}

/// The query list and the crawl; gives the pairs in the pool, or nothing when there is no corpus.
fn corpus(corpus: &Path) -> Result<Option<u64>, Failure> {
    if Meta::read(corpus, "corpus")?.is_none() {
        line("crawl", format!("no corpus at {}", corpus.display()));
        return Ok(None);
    }
    let queries = corpus.join("queries.parquet");
    let list = if queries.exists() {
        match TableReader::<curation::Query>::open(&queries) {
            Ok(list) => format!("{} queries", list.row_count()),
            Err(error) => chain(&error),
        }
    } else {
        "no list: every captioned pair is taken".to_string()
    };
    line("wordlist", list);
    let catalogue = corpus.join("catalog.sqlite");
    if !catalogue.exists() {
        line("crawl", "not begun".to_string());
        return Ok(Some(0));
    }
    let catalogue = Catalogue::open_read_only(&catalogue)?;
    let status = catalogue.status()?;
    let runs = is_crawled_now(corpus);
    status.sources.iter().for_each(|status| source(status, runs));
    if runs {
        line("", "a crawl runs now: the figures are those of its finished jobs, which take 2 minutes as a rule".to_string());
    }
    let totals = &status.totals;
    let size = totals.bytes as f64 / f64::from(1 << 20);
    line(
        "pool",
        format!(
            "{} pairs of {} candidates in {} segments, {size:.1} MiB, from {} hosts",
            totals.pairs, totals.candidates, totals.segments, totals.hosts
        ),
    );
    if let Some(pace) = pace(&catalogue.segments_held()?, now_ms()) {
        line("", pace);
    }
    let list = |failures: bool| {
        let is_failure = |name: &str| outcome::FAILURES.contains(&name.strip_prefix("page:").unwrap_or(name));
        let named = status.outcomes.iter().filter(|(name, n)| *n > 0 && is_failure(name) == failures);
        named.map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
    };
    let (decided, failed) = (list(false), list(true));
    line("", if decided.is_empty() { "nothing decided yet".to_string() } else { decided });
    if !failed.is_empty() {
        line("failed", failed);
    }
    let met = |name: &str| status.outcomes.iter().any(|(met, n)| met.strip_prefix("page:").unwrap_or(met) == name && *n > 0);
    let again: Vec<&str> = outcome::FAILURES.into_iter().filter(|name| met(name)).collect();
    if !again.is_empty() {
        line("", format!("to try them again: diptych crawl --corpus {} --retry {} ...", corpus.display(), again.join(",")));
    }
    if let Some(filled) = filled(&catalogue, corpus)? {
        line("", filled);
    }
    if let Some(slow) = slowest(&catalogue.hosts()?) {
        line("", slow);
    }
    Ok(Some(totals.pairs))
}

/// Whether a crawl holds the corpus.
pub(crate) fn is_crawled_now(corpus: &Path) -> bool {
    let lock = File::open(corpus.join("crawl.lock"));
    // Shared, so that two who look do not take each other for a crawl; one that begins in this moment waits.
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// How many queries were matched, and how many of them by as many candidates as they may have pairs.
fn filled(catalogue: &Catalogue, corpus: &Path) -> Result<Option<String>, Failure> {
    let cap = crate::corpus::Properties::read(corpus)?.per_query;
    let counters = catalogue.counters()?;
    let full = counters.iter().filter(|(_, seen)| *seen >= cap).count();
    Ok((!counters.is_empty() && cap > 0).then(|| filled_line(counters.len(), full, cap)))
}

fn filled_line(matched: usize, full: usize, cap: u64) -> String {
    format!("{matched} queries matched candidates, {full} of them {cap} or more, fetched or not")
}

/// The hosts that took longest to answer.
fn slowest(hosts: &[HostDelta]) -> Option<String> {
    let pace = |host: &HostDelta| host.millis / host.requests.max(1);
    let mut hosts: Vec<&HostDelta> = hosts.iter().filter(|host| host.requests >= MIN_REQUESTS && host.millis > 0).collect();
    hosts.sort_by(|a, b| pace(b).cmp(&pace(a)).then_with(|| a.host.cmp(&b.host)));
    let named: Vec<String> = hosts.iter().take(SLOW_HOSTS).map(|host| format!("{} {} ms a request", host.host, pace(host))).collect();
    (!named.is_empty()).then(|| format!("slowest hosts: {}", named.join(", ")))
}

fn source(status: &SourceStatus, runs: bool) {
    let left = status.jobs_open + status.jobs_leased;
    let waiting = status.pages_waiting + status.pages_leased;
    let place = format!("{}:{}", status.source.kind, status.source.location);
    let pages =
        if status.pages_done + waiting > 0 { format!(", pages {} done and {waiting} left", status.pages_done) } else { String::new() };
    let state = match left + waiting {
        // Its jobs were not recorded yet.
        0 if status.source.state == "new" => "not begun",
        0 => "done",
        _ => "not done",
    };
    line("crawl", format!("{place}: {state}; jobs {} done and {left} left{pages}", status.jobs_done));
    if left + waiting > 0 {
        let leased = if status.jobs_leased > 0 {
            let by = if runs { "by the crawl that runs now" } else { "by a crawl that was killed" };
            format!(" ({} begun {by})", status.jobs_leased)
        } else {
            String::new()
        };
        let bound = if left == 0 { "; pages of hosts that have given --host-pages wait for a larger one" } else { "" };
        line("", format!("the same crawl command goes on with what is left{leased}{bound}"));
    }
}

/// How fast the last segments came, pauses left out.
fn pace(segments: &[SegmentHeld], now_ms: u64) -> Option<String> {
    let mut last: Vec<&SegmentHeld> = segments.iter().collect();
    last.sort_by_key(|segment| segment.time_ms);
    let newest = last.last()?.time_ms;
    let mut work = (0, 0, 0);
    for (at, pair) in last.windows(2).rev().enumerate() {
        if at + 1 >= PACE_SEGMENTS && work.0 >= PACE_MS {
            break;
        }
        let gap = pair[1].time_ms - pair[0].time_ms;
        if gap <= PAUSE_MS {
            work = (work.0 + gap, work.1 + pair[1].candidates, work.2 + pair[1].pairs);
        }
    }
    let ago = now_ms.saturating_sub(newest) / 1000;
    let seconds = work.0 as f64 / 1000.0;
    let rate = if work.0 >= PACE_MS {
        format!("{:.1} candidates and {:.1} pairs a second over the last segments, ", work.1 as f64 / seconds, work.2 as f64 / seconds)
    } else {
        String::new()
    };
    Some(format!("{rate}the last one {} ago", duration(ago)))
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

/// Seconds as people say them.
fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn selection(folder: &Path, pairs: Option<u64>) -> Result<(), Failure> {
    let Some(meta) = Meta::read(folder, "selection")? else { return Ok(()) };
    let number = |name: &str| meta.properties.get(name).and_then(Value::as_u64).unwrap_or(0);
    line("curate", format!("{}: kept {} of {} pairs as {} samples", name(folder), number("kept"), number("pairs"), number("samples")));
    if let Some(pairs) = pairs.filter(|&pairs| pairs != number("pairs")) {
        line("", format!("the pool has {pairs} pairs by now: diptych curate --name {} judges them all", name(folder)));
    }
    Ok(())
}

fn shards(folder: &Path, manifests: &[PathBuf]) -> Result<(), Failure> {
    let Some(meta) = Meta::read(folder, "shards")? else {
        line("shard", format!("nothing in {}", folder.display()));
        return Ok(());
    };
    let number = |name: &str| meta.properties.get(name).and_then(Value::as_u64).unwrap_or(0);
    let left_out = number("damaged") + number("left_out");
    let left_out = if left_out > 0 { format!(", {left_out} damaged ones left out") } else { String::new() };
    line("shard", format!("{}: {} samples{left_out}", folder.display(), number("samples")));
    if let Some(hash) = meta.parents.get("manifest")
        && !manifests.is_empty()
        && !manifests.iter().any(|manifest| hash_file(manifest).is_ok_and(|found| found == *hash))
    {
        line("", "made from a manifest that is not there any more: diptych shard writes them anew".to_string());
    }
    Ok(())
}

/// How far a run is, by its last metrics, and what was evaluated.
fn run_lines(folder: &Path) {
    let Ok(Some(meta)) = Meta::read(folder, "run") else { return };
    let model = meta.properties.get("model").and_then(|model| model.get("name")).and_then(Value::as_str).unwrap_or("a model of its own");
    let place = folder.display();
    let rows = Metrics::read(folder).unwrap_or_default();
    match rows.last() {
        Some(last) => {
            let epochs = meta.properties.get("epochs").and_then(Value::as_f64).unwrap_or(0.0);
            line(
                "train",
                format!(
                    "{place}: {model}, step {}, epoch {:.2} of {epochs}, loss {:.3}, {:.0} samples a second",
                    last.step, last.epoch, last.loss, last.samples_per_second
                ),
            );
            line("", left(last, epochs));
            if last.damaged > 0 {
                line("failed", format!("{} damaged samples were replaced by others; diptych verify names them", last.damaged));
            }
        }
        None => line("train", format!("{place}: {model}, no step logged yet; diptych train --resume with the same flags goes on")),
    }
    evals(folder);
}

/// What is left of a training, and how long that takes at the pace so far.
fn left(last: &Metrics, epochs: f64) -> String {
    let share = last.epoch / epochs.max(f64::MIN_POSITIVE);
    // Whole batches only: the last step falls short of the last epoch by less than one.
    let planned = if last.epoch > 0.0 { (epochs * last.step as f64 / last.epoch + 1e-6).floor() } else { f64::INFINITY };
    if last.step as f64 >= planned {
        return format!("done in {}", duration(last.seconds as u64));
    }
    let rest = if last.epoch > 0.0 { (epochs - last.epoch) / last.epoch * last.seconds } else { 0.0 };
    format!(
        "{:.0} % done, about {} left; if it does not run, diptych train --resume with the same flags goes on",
        100.0 * share,
        duration(rest as u64)
    )
}

fn evals(folder: &Path) {
    let entries = std::fs::read_dir(folder.join("evals")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    if files.is_empty() {
        line("eval", format!("none of {}; run: diptych eval zero-shot --checkpoint {0} --manifest FILE", folder.display()));
    }
    for path in files {
        let read = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let number = |key: &str| read.as_ref().and_then(|value| value.get(key)?.as_f64());
        match (number("top1"), number("n")) {
            (Some(top1), Some(n)) => line("eval", format!("{}: top-1 {:.1} % of {n:.0} pictures", path.display(), 100.0 * top1)),
            _ if read.is_some() => line("eval", path.display().to_string()),
            _ => line("failed", format!("{} cannot be read; evaluate again", path.display())),
        }
    }
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        std::fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.retain(|path| !path.to_string_lossy().ends_with(".diptych-part"));
    found.sort();
    found
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(time_ms: u64) -> SegmentHeld {
        SegmentHeld { id: time_ms, candidates: 100, pairs: 50, bytes: 1, time_ms }
    }

    #[test]
    fn pauses_do_not_slow_the_pace() {
        let steady: Vec<SegmentHeld> = (0..5).map(|n| held(10_000 * n)).collect();
        let said = pace(&steady, 50_000).expect("a pace");
        assert!(said.starts_with("10.0 candidates and 5.0 pairs a second") && said.ends_with("10 s ago"), "{said}");
        let paused = [&steady[..], &[held(100 * PAUSE_MS), held(100 * PAUSE_MS + 10_000)]].concat();
        assert!(pace(&paused, 0).expect("a pace").starts_with("10.0 candidates"));
        assert_eq!(pace(&[], 0), None);
        // Four jobs side by side, every 100 seconds: their ends lie milliseconds apart, and the pace is that over all of the time.
        let together: Vec<SegmentHeld> = (0..40).map(|n| held(100_000 * (n / 4) + n % 4)).collect();
        assert!(pace(&together, 0).expect("a pace").starts_with("4."), "{:?}", pace(&together, 0));
        assert!(pace(&together[..4], 1000).expect("said").starts_with("the last one"), "no pace of a moment");
        let burst: Vec<SegmentHeld> = (0..60).map(|n| held(if n < 30 { 10_000 * n } else { 300_000 + n })).collect();
        assert!(pace(&burst, 0).expect("a pace").starts_with("298."), "{:?}", pace(&burst, 0));
        assert_eq!(pace(&[held(0)], 300_000).as_deref(), Some("the last one 5 min ago"));
    }

    #[test]
    fn what_is_left_of_a_training() {
        let last = |epoch| Metrics {
            step: 10,
            epoch,
            loss: 1.0,
            lr: 0.1,
            scale: 1.0,
            grad_norm: 1.0,
            samples_per_second: 1.0,
            data_wait: 0.0,
            wait_seconds: 0.0,
            step_seconds: 0.0,
            decode_seconds: 0.0,
            read_seconds: 0.0,
            seconds: 600.0,
            damaged: 0,
        };
        assert!(left(&last(1.0), 4.0).starts_with("25 % done, about 30 min left"), "{}", left(&last(1.0), 4.0));
        assert!(left(&last(4.0), 4.0).starts_with("done in 10 min"));
        // Ten steps of 0.19 epochs: an eleventh would go beyond the second epoch.
        assert!(left(&last(1.9), 2.0).starts_with("done"));
        assert!(left(&last(0.0), 2.0).starts_with("0 % done"));
    }
}
