//! `diptych crawl`: joins the crawler with the query list and the catalogue. Only delegation lives here.

use crate::cli;
use crate::corpus::{self, Properties};
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use curation::Cap;
use shards::{Commit, Job, JobKind, NewJob, PageLink, PairId, outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The query list and the cap, as the crawler asks them.
struct Queries {
    matcher: curation::Matcher,
    cap: Cap,
}

impl crawler::Matcher for Queries {
    fn queries(&self, caption: &str) -> Vec<u32> {
        self.matcher.queries(caption)
    }

    fn inside(&self, pair: &PairId, queries: &[u32], seen: &dyn Fn(u32) -> u64) -> bool {
        self.cap.inside(pair, queries.iter().map(|&query| (self.matcher.text(query), seen(query))))
    }

    fn cap(&self) -> u64 {
        self.cap.per_query
    }

    fn query_count(&self) -> usize {
        self.matcher.len()
    }

    fn text(&self, query: u32) -> &str {
        self.matcher.text(query)
    }

    fn wanted(&self) -> u64 {
        // Without a cap a search goes on while there are answers.
        corpus::room(self.cap.per_query)
    }
}

/// The catalogue, as the crawler asks it.
struct Book(sql::Catalogue);

type Asked<T> = Result<T, crawler::LedgerError>;

impl crawler::Ledger for Book {
    fn source(&self, kind: &str, location: &str) -> Asked<(u64, String)> {
        Ok(self.0.source(kind, location)?)
    }
    fn find_source(&self, kind: &str, location: &str) -> Asked<Option<(u64, String)>> {
        Ok(self.0.find_source(kind, location)?)
    }
    fn newest_plan(&self, source: u64) -> Asked<Option<String>> {
        Ok(self.0.newest_plan(source)?)
    }
    fn sources_of(&self, kind: &str) -> Asked<Vec<(u64, String)>> {
        Ok(self.0.sources()?.into_iter().filter(|source| source.kind == kind).map(|source| (source.id, source.location)).collect())
    }
    fn set_source_state(&self, id: u64, state: &str) -> Asked<()> {
        Ok(self.0.set_source_state(id, state)?)
    }
    fn add_jobs(&self, source: u64, jobs: &[NewJob], state: &str) -> Asked<()> {
        Ok(self.0.add_jobs(source, jobs, state)?)
    }
    fn add_pages(&self, source: u64, pages: &[PageLink]) -> Asked<()> {
        Ok(self.0.add_pages(source, pages)?)
    }
    fn next_job(&self, source: u64, kind: JobKind) -> Asked<Option<Job>> {
        Ok(self.0.next_job(source, kind)?)
    }
    fn lease_pages(&self, source: u64, limit: usize, per_host: u64) -> Asked<Option<Job>> {
        Ok(self.0.lease_pages(source, limit, per_host)?)
    }
    fn rank_pages(&self, source: u64, limit: usize, rank: &dyn Fn(&str) -> Option<u32>) -> Asked<()> {
        Ok(self.0.rank_pages(source, limit, rank)?)
    }
    fn retry_pages(&self, source: u64, outcomes: &[String]) -> Asked<u64> {
        Ok(self.0.retry_pages(source, outcomes)?)
    }
    fn reopen(&self) -> Asked<()> {
        Ok(self.0.reopen()?)
    }
    fn commit(&self, job: &Job, commit: &Commit) -> Asked<()> {
        Ok(self.0.commit(job, commit)?)
    }
    fn counters(&self) -> Asked<Vec<(u32, u64)>> {
        Ok(self.0.counters()?)
    }
    fn committed_segments(&self) -> Asked<Vec<u64>> {
        Ok(self.0.committed_segments()?)
    }
    fn newest_job(&self) -> Asked<u64> {
        Ok(self.0.newest_job()?)
    }
    fn jobs_left(&self, source: u64) -> Asked<u64> {
        Ok(self.0.jobs_left(source)?)
    }
    fn pages_done(&self, source: u64) -> Asked<u64> {
        Ok(self.0.pages_done(source)?)
    }
}

/// Crawls as the flags say and prints what became of the pairs.
///
/// # Errors
/// Usage for contradictions and missing flags; otherwise what fetching or storing met.
pub fn run(flags: &cli::Crawl) -> Result<(), Failure> {
    let sources = flags.source.iter().map(|source| source.parse()).collect::<Result<Vec<crawler::Source>, _>>().map_err(failure)?;
    let mut options = crawler::CrawlOptions::new(flags.corpus.clone(), sources);
    options.contact = flags.contact.clone();
    options.allow_private = flags.allow_private;
    options.host_connections = flags.host_connections;
    options.host_rate = flags.host_rate;
    options.concurrency = flags.concurrency;
    options.max_depth = flags.max_depth;
    options.limit = flags.limit;
    options.host_pages = flags.host_pages;
    options.rules = Arc::new(crawler::Rules { include: patterns(&flags.include)?, exclude: patterns(&flags.exclude)? });
    options.timeout = Duration::try_from_secs_f64(flags.timeout)
        .map_err(|error| Failure::Usage(format!("--timeout {} is not a number of seconds: {error}", flags.timeout)))?;
    options.retries = flags.retries;
    options.retry.clone_from(&flags.retry);
    options.metrics = flags.metrics;
    options.obey_groups = groups(&flags.obey_groups)?;
    options.resize_only_if_bigger = flags.resize_only_if_bigger;
    options.verify_hash.clone_from(&flags.verify_hash);
    options.skip_reencode = flags.skip_reencode;
    options.min_image_size = flags.min_image_size;
    options.max_image_area = flags.max_image_area;
    options.max_aspect_ratio = flags.max_aspect_ratio;
    options.sizes.candidates = flags.number_sample_per_shard;
    // Seen before a corpus is made of it.
    options.image_size = flags.image_size.unwrap_or(options.image_size);
    if let Some(seconds) = flags.max_time {
        Duration::try_from_secs_f64(seconds)
            .map_err(|error| Failure::Usage(format!("--max-time {seconds} is not a number of seconds: {error}")))?;
    }
    // A corpus whose cap was raised needs no source: its refused pairs are looked at again.
    let raises = flags.source.is_empty() && flags.retry.is_empty() && flags.per_query.is_some();
    if flags.source.is_empty() && !flags.corpus.join("meta.json").exists() {
        return Err(Failure::Usage(format!("no --source is given, and {} is no corpus: it has no meta.json", flags.corpus.display())));
    }
    if raises {
        options.retry.push(outcome::FULL.to_string());
    }
    options.check().and_then(|()| options.check_contact()).map_err(failure)?;
    if !flags.corpus.join("meta.json").exists() {
        options.check_lists().map_err(failure)?;
    }
    let (properties, list) = corpus::open(flags)?;
    // A corpus that was imported has no size: its pictures are kept as they come, and a crawl's besides.
    if properties.image_size > 0 {
        options.image_size = properties.image_size;
    }
    options.resize_mode = properties.resize_mode;
    options.encoding = properties.encoding(flags.encode_quality)?;
    let matcher = list.as_deref().map(|list| queries(list, &properties)).transpose()?;
    let ledger = Book(sql::Catalogue::open(&flags.corpus.join("catalog.sqlite"))?);
    let cap = list.as_ref().map_or(0, |_| properties.crawl_cap());
    let crawled = ledger.0.recall(corpus::CRAWLED_CAP)?.and_then(|text| text.parse::<u64>().ok());
    match crawled {
        None => ledger.0.remember(corpus::CRAWLED_CAP, &cap.to_string())?,
        Some(before) if corpus::room(before) < corpus::room(cap) && !raises => options.retry.push(outcome::FULL.to_string()),
        Some(_) => {}
    }

    let progress = Progress::start("crawl", Unit::Things("pages and pairs"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stop = options.stop.clone();
    let signalled = Arc::new(AtomicBool::new(false));
    runtime.spawn(stop_when_asked(stop.clone(), signalled.clone(), flags.max_time));
    let ledger = Arc::new(ledger);
    let summary = runtime.block_on(crawler::crawl(options, ledger.clone(), matcher, progress.meter.clone())).map_err(failure)?;
    drop(progress);
    if stop.is_cancelled() {
        eprintln!("stopped before the end; the same command goes on");
    } else {
        ledger.0.remember(corpus::CRAWLED_CAP, &cap.to_string())?;
    }
    eprintln!("{summary}");
    summary.complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
    if let Some(refused) = refused(&summary, flags.allow_private) {
        eprintln!("{refused}");
    }
    remarks(&summary).iter().for_each(|remark| eprintln!("{remark}"));
    println!("{}", flags.corpus.display());
    match () {
        () if signalled.load(Ordering::Relaxed) => Err(Failure::Stopped),
        () if summary.is_in_vain => Err(Failure::Run("no list could be used".into())),
        () => Ok(()),
    }
}

/// What the user should look at in the lists.
fn remarks(summary: &crawler::CrawlSummary) -> Vec<String> {
    let mut remarks = summary.unusable.clone();
    if let Some(count) = summary.outcomes.get(NOT_UTF8) {
        remarks.push(format!("{count} rows were not UTF-8: their other bytes became U+FFFD; convert the list, with iconv for example"));
    }
    remarks
}

/// What became of pairs, pages and rows that were not taken, the most frequent first; nothing when all were.
fn refused(summary: &crawler::CrawlSummary, allow_private: bool) -> Option<String> {
    let taken = |name: &str| [outcome::OK, "page:ok", NOT_UTF8].contains(&name);
    let mut counts: Vec<(&str, u64)> =
        summary.outcomes.iter().map(|(name, n)| (name.as_str(), *n)).filter(|(name, n)| !taken(name) && *n > 0).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let named = counts.iter().map(|(name, n)| {
        let hint = if name.ends_with(outcome::UNSAFE_ADDRESS) && !allow_private {
            " (private ones need --allow-private, then with --retry unsafe_address)"
        } else {
            ""
        };
        format!("{name} {n}{hint}")
    });
    let named: Vec<String> = named.collect();
    (!named.is_empty()).then(|| format!("not taken: {}", named.join(", ")))
}

/// Names of groups, also where blanks part them, as the help shows the usual ones.
fn groups(texts: &[String]) -> Result<Vec<String>, Failure> {
    let names = texts.iter().flat_map(|text| text.split([',', ' ', '\t'])).filter(|name| !name.is_empty());
    let check = |name: &str| {
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        is_name
            .then(|| name.to_string())
            .ok_or_else(|| Failure::Usage(format!("--obey-groups {name:?} is no name of a crawler, such as GPTBot")))
    };
    names.map(check).collect()
}

fn patterns(texts: &[String]) -> Result<Vec<crawler::Pattern>, Failure> {
    texts.iter().map(|text| text.parse().map_err(failure)).collect()
}

/// Rows that were kept, though not all of their bytes were UTF-8.
const NOT_UTF8: &str = "row:not_utf8";

/// Stops the crawl in good order at the first Ctrl-C or SIGTERM or when its time is up; a second signal ends the program at once.
/// `signalled` says afterwards whether it was a signal.
async fn stop_when_asked(stop: CancellationToken, signalled: Arc<AtomicBool>, max_time: Option<f64>) {
    let time_is_up = async {
        match max_time.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = signal() => {
            signalled.store(true, Ordering::Relaxed);
            eprintln!("stopping: what is in flight is finished; again to stop at once");
        }
        () = time_is_up => eprintln!("stopping: --max-time is over"),
    }
    stop.cancel();
    signal().await;
    std::process::exit(130);
}

/// Waits for a signal that asks the program to end.
async fn signal() {
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn failure(error: crawler::Error) -> Failure {
    if error.is_usage() { Failure::Usage(error.to_string()) } else { error.into() }
}

fn queries(list: &std::path::Path, properties: &Properties) -> Result<Arc<dyn crawler::Matcher>, Failure> {
    let matcher = curation::Matcher::read(list)?;
    let cap = Cap { seed: properties.seed, per_query: properties.crawl_cap() };
    Ok(Arc::new(Queries { matcher, cap }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_parted_by_commas_and_blanks() {
        let of = |texts: &[&str]| groups(&texts.iter().map(ToString::to_string).collect::<Vec<_>>()).ok();
        assert_eq!(of(&["FooBot GPTBot", "a,b-c_1.0", ""]).expect("names"), ["FooBot", "GPTBot", "a", "b-c_1.0"]);
        assert_eq!((of(&["*"]), of(&["Foo/1"]), of(&["é"])), (None, None, None));
    }

    #[test]
    fn what_was_not_taken_is_named() {
        let outcomes = [("ok", 5), ("page:ok", 2), ("full", 1), ("unsafe_address", 3)].map(|(name, n)| (name.to_string(), n));
        let summary = crawler::CrawlSummary { outcomes: outcomes.into(), ..crawler::CrawlSummary::default() };
        let said = refused(&summary, false).expect("some");
        assert_eq!(said, "not taken: unsafe_address 3 (private ones need --allow-private, then with --retry unsafe_address), full 1");
        assert!(!refused(&summary, true).expect("some").contains("--allow-private"));
        assert_eq!(refused(&crawler::CrawlSummary::default(), false), None);
    }
}
