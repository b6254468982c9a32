//! Running a crawl and reading what it left in the corpus folder.

use crate::twin::Twin;
use crawler::{CrawlOptions, CrawlSummary, Error, Matcher, Source, crawl};
use shards::{Candidate, Limits, Meter, PairId, PoolRow, TableReader, TarReader, decode, read_extent};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Options for loopback without politeness, so that tests take no longer than they must.
pub fn options(corpus: &Path, sources: &[String]) -> CrawlOptions {
    let sources: Vec<Source> = sources.iter().map(|source| source.parse().expect("a source")).collect();
    let mut options = CrawlOptions::new(corpus, sources);
    options.allow_private = true;
    options.host_rate = 0.0;
    options.backoff = Duration::from_millis(5);
    options.timeout = Duration::from_secs(10);
    options
}

pub async fn run(options: &CrawlOptions, ledger: &Arc<Twin>, matcher: Option<Arc<dyn Matcher>>) -> Result<CrawlSummary, Error> {
    crawl(options.clone(), ledger.clone(), matcher, Arc::new(Meter::default())).await
}

/// Matches captions by the words of a list; lets `cap` pairs per word in, by a hash of pair and word.
pub struct Words {
    pub words: Vec<&'static str>,
    pub cap: u64,
}

impl Matcher for Words {
    fn queries(&self, caption: &str) -> Vec<u32> {
        (0..self.words.len() as u32).filter(|&i| caption.split(' ').any(|word| word == self.words[i as usize])).collect()
    }

    fn inside(&self, pair: &PairId, queries: &[u32], seen: &dyn Fn(u32) -> u64) -> bool {
        queries.iter().any(|&query| {
            let u = (pair.fingerprint() ^ u64::from(query).wrapping_mul(0x9e37_79b9_7f4a_7c15)) as f64 / u64::MAX as f64;
            u < self.cap as f64 / seen(query).max(self.cap) as f64
        })
    }

    fn cap(&self) -> u64 {
        self.cap
    }

    fn query_count(&self) -> usize {
        self.words.len()
    }

    fn text(&self, query: u32) -> &str {
        self.words[query as usize]
    }

    fn wanted(&self) -> u64 {
        self.cap
    }
}

fn tables<R: shards::Row>(folder: &Path) -> Vec<(std::path::PathBuf, Vec<R>)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths =
        entries.map(|entry| entry.expect("listed").path()).filter(|path| path.extension().is_some_and(|suffix| suffix == "parquet"));
    paths.map(|path| (path.clone(), TableReader::<R>::read_all(&path).expect("read"))).collect()
}

/// All candidates of the corpus by pair; panics when one is there twice.
pub fn candidates(corpus: &Path) -> BTreeMap<PairId, Candidate> {
    let mut all = BTreeMap::new();
    for (path, rows) in tables::<Candidate>(&corpus.join("candidates")) {
        for row in rows {
            assert!(!row.outcome.is_empty(), "a pair without a decision in {path:?}");
            assert!(all.insert(row.pair_id, row).is_none(), "a pair twice in {path:?}");
        }
    }
    all
}

/// Outcomes of the candidates by `PATH caption`.
pub fn outcomes(corpus: &Path) -> BTreeMap<String, String> {
    let name = |row: &Candidate| row.image_url.splitn(4, '/').nth(3).map_or_else(|| "data".to_string(), |path| format!("/{path}"));
    candidates(corpus).values().map(|row| (format!("{} {}", name(row), row.caption), row.outcome.clone())).collect()
}

/// What is said of each outcome, by address.
pub fn details(corpus: &Path) -> BTreeMap<String, String> {
    candidates(corpus).into_values().map(|row| (row.image_url, row.detail)).collect()
}

/// Checks the pool against its tars and the candidates; returns the pairs in it.
pub fn check_pool(corpus: &Path) -> BTreeSet<PairId> {
    let decided = candidates(corpus);
    let mut pairs = BTreeSet::new();
    for (path, rows) in tables::<PoolRow>(&corpus.join("pool")) {
        let tar = path.with_extension("tar");
        let file = std::fs::File::open(&tar).expect("opened");
        let members: Vec<_> = TarReader::open(&tar).expect("opened").map(|member| member.expect("a member")).collect();
        assert_eq!(members.len(), 3 * rows.len());
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(members[3 * i].name, format!("{}.jpg", row.key));
            assert_eq!(members[3 * i].extent, row.image());
            let picture = decode(&read_extent(&file, &tar, row.image()).expect("read"), &Limits::default()).expect("decoded");
            assert_eq!(picture.pixels.dimensions(), (row.width, row.height));
            let text = read_extent(&file, &tar, members[3 * i + 1].extent).expect("read");
            assert_eq!(String::from_utf8(text).expect("UTF-8"), row.caption);
            let json = read_extent(&file, &tar, members[3 * i + 2].extent).expect("read");
            let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
            assert_eq!(json["key"], row.key.as_str());
            assert_eq!(decided[&row.pair_id].outcome, "ok");
            assert_eq!(decided[&row.pair_id].image_url, row.url);
            assert!(pairs.insert(row.pair_id), "a pair twice in the pool");
        }
    }
    assert_eq!(pairs.len(), decided.values().filter(|row| row.outcome == "ok").count());
    let plans = std::fs::read_dir(corpus.join("plans")).map_or(0, Iterator::count);
    assert_eq!(plans, 0, "plan files are taken away when their pairs are decided");
    pairs
}
