//! What all jobs of a crawl share: the set of seen pairs, the counters of the cap, the fetcher, and the way a pair is decided.

use crate::fetch::Fetcher;
use crate::layout::Layout;
use crate::metrics::Metrics;
use crate::place::Places;
use crate::seen::Seen;
use crate::summary::Tally;
use crate::traps::Traps;
use crate::{CrawlOptions, Error, Ledger, Matcher};
use shards::{Candidate, Meter, Removed, outcome};
use std::fs::{File, TryLockError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// Time between two notes on the meter.
const NOTE_EVERY: Duration = Duration::from_millis(500);
/// How many times wider than the stored side an image need be at most: enough for a crop, and for sides of 1 to 4.
pub(crate) const ENOUGH: u32 = 4;
/// How long a dropped crawl of this process may take to let go of the corpus, and after how much of it we say that we wait.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_PATIENCE: Duration = Duration::from_millis(300);

/// The shared part of a crawl.
pub(crate) struct Engine {
    pub(crate) options: CrawlOptions,
    pub(crate) layout: Layout,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) fetcher: Fetcher,
    /// Where archives lie.
    pub(crate) places: Arc<Places>,
    pub(crate) meter: Arc<Meter>,
    /// Where pages have no end.
    pub(crate) traps: Traps,
    /// Figures of this run, for who asks.
    pub(crate) metrics: Arc<Metrics>,
    matcher: Option<Arc<dyn Matcher>>,
    /// Pairs of finished jobs and of those in work, so that no two jobs take the same.
    seen: Seen,
    /// n_q: distinct pairs seen by query, finished or in work.
    counters: Vec<AtomicU64>,
    progress: Progress,
    /// Held until the last thread that writes to the corpus is done.
    _lock: File,
}

/// Figures for the meter's note.
struct Progress {
    pairs: AtomicU64,
    bytes: AtomicU64,
    /// When the last note was made, and the bytes then.
    last: Mutex<(Instant, u64)>,
}

impl Engine {
    /// Joins the parts and reads the counters from the ledger.
    pub(crate) fn new(
        options: CrawlOptions,
        ledger: Arc<dyn Ledger>,
        matcher: Option<Arc<dyn Matcher>>,
        meter: Arc<Meter>,
        places: Arc<Places>,
        seen: Seen,
        lock: File,
    ) -> Result<Self, Error> {
        let queries = matcher.as_ref().map_or(0, |matcher| matcher.query_count());
        let mut counters: Vec<AtomicU64> = Vec::new();
        counters.resize_with(queries, AtomicU64::default);
        for (query, count) in ledger.counters().map_err(Error::ledger("read counters"))? {
            // Without a query list counters mean nothing; with another one the corpus' properties would not have agreed.
            if let Some(counter) = counters.get(query as usize) {
                counter.store(count, Ordering::Relaxed);
            }
        }
        Ok(Engine {
            layout: Layout::new(&options.corpus),
            fetcher: Fetcher::new(&options)?,
            progress: Progress { pairs: AtomicU64::new(0), bytes: AtomicU64::new(0), last: Mutex::new((Instant::now(), 0)) },
            traps: Traps::default(),
            places,
            metrics: Arc::default(),
            options,
            ledger,
            matcher,
            meter,
            seen,
            counters,
            _lock: lock,
        })
    }

    /// Pairs seen for a query so far.
    pub(crate) fn pairs_of(&self, query: u32) -> u64 {
        self.counters.get(query as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// Whether a query has fewer pairs than are wanted.
    pub(crate) fn wants_more(&self, query: u32) -> bool {
        self.matcher.as_ref().is_some_and(|matcher| (query as usize) < matcher.query_count() && self.pairs_of(query) < matcher.wanted())
    }

    /// The words of a query.
    pub(crate) fn query_text(&self, query: u32) -> &str {
        self.matcher.as_ref().map_or("", |matcher| matcher.text(query))
    }

    /// The width in pixels from which on a larger size of an image is of no use.
    pub(crate) fn enough(&self) -> u32 {
        ENOUGH * self.options.image_size
    }

    /// Takes a pair for the calling job: matches it and counts it. `None` when it was seen before.
    pub(crate) fn claim(&self, mut candidate: Candidate, tally: &mut Tally) -> Option<Candidate> {
        if !self.seen.insert(&candidate.pair_id) {
            return None;
        }
        candidate.query_ids = self.matcher.as_ref().map_or_else(Vec::new, |matcher| matcher.queries(&candidate.caption));
        for query in &candidate.query_ids {
            *tally.counters.entry(*query).or_default() += 1;
            if let Some(counter) = self.counters.get(*query as usize) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
        if self.matcher.is_some() && candidate.query_ids.is_empty() {
            settle(&mut candidate, outcome::UNMATCHED, "");
        }
        Some(candidate)
    }

    /// What was taken down from this corpus, by now: asked anew for every job and page.
    pub(crate) fn removed(&self) -> Result<Arc<Removed>, Error> {
        Ok(Removed::read(self.layout.corpus())?)
    }

    /// Whether a pair is inside the cap by the counts so far.
    pub(crate) fn is_inside(&self, candidate: &Candidate) -> bool {
        let seen = |query: u32| self.pairs_of(query);
        self.matcher.as_ref().is_none_or(|matcher| matcher.inside(&candidate.pair_id, &candidate.query_ids, &seen))
    }

    /// Queries with pairs, and those with as many as the cap lets in.
    pub(crate) fn queries(&self) -> (u64, u64) {
        let cap = self.matcher.as_ref().map_or(0, |matcher| matcher.cap()).max(1);
        let counts = self.counters.iter().map(|counter| counter.load(Ordering::Relaxed));
        counts.fold((0, 0), |(seen, filled), count| (seen + u64::from(count > 0), filled + u64::from(count >= cap)))
    }

    /// Tells the meter what was kept and received.
    pub(crate) fn note(&self, pairs: u64, bytes: u64) {
        let pairs = self.progress.pairs.fetch_add(pairs, Ordering::Relaxed) + pairs;
        let bytes = self.progress.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.metrics.set_progress(pairs, bytes);
        let Ok(mut last) = self.progress.last.try_lock() else { return };
        let (since, before) = *last;
        if since.elapsed() >= NOTE_EVERY {
            let rate = bytes.saturating_sub(before) as f64 / since.elapsed().as_secs_f64() / 1e6;
            self.meter.say(format!("{pairs} pairs kept, {rate:.1} MB/s"));
            *last = (Instant::now(), bytes);
        }
    }

    /// Runs `work`, which may wait for the disk or the catalogue, off the threads that fetch.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Engine>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let engine = self.clone();
        tokio::task::spawn_blocking(move || work(&engine)).await?
    }
}

/// Writes a decision into a candidate.
pub(crate) fn settle(candidate: &mut Candidate, outcome: &str, detail: &str) {
    candidate.outcome = outcome.to_string();
    // One line, as tables show it; some decoders and resolvers say theirs in several.
    candidate.detail = detail.split_whitespace().collect::<Vec<_>>().join(" ");
    candidate.time_ms = now_ms();
}

/// Milliseconds since 1970 UTC.
pub(crate) fn now_ms() -> i64 {
    // A clock before 1970 is no reason to stop.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Makes the corpus ours: two crawls at once would take each other's files for leftovers.
///
/// # Errors
/// `InUse` when another crawl has it, `Files` when the folder cannot be written.
pub(crate) async fn lock(layout: &Layout) -> Result<File, Error> {
    std::fs::create_dir_all(layout.corpus()).map_err(shards::Error::io("create folder", layout.corpus()))?;
    let path = layout.lock();
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(shards::Error::io("open", &path))?;
    let (begun, mut said) = (Instant::now(), false);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_WAIT => {
                if begun.elapsed() > LOCK_PATIENCE && !std::mem::replace(&mut said, true) {
                    tracing::warn!(corpus = %layout.corpus().display(), "another diptych is at work there: waiting for it to end");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { path: layout.corpus().to_path_buf() }),
            Err(TryLockError::Error(error)) => return Err(shards::Error::io("lock", &path)(error).into()),
        }
    }
}
