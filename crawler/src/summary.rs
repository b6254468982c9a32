//! What jobs did, added up: for the commit of each, and for the whole run.

use crate::fetch::{Traffic, merge};
use rustc_hash::FxHashMap;
use shards::{Candidate, Commit, SegmentTotals};
use std::collections::BTreeMap;
use std::path::Path;

/// The decision on a pair of a page that was seen before.
pub(crate) const REPEATED: &str = "pair:duplicate_url";

/// A list of a folder or pattern that cannot be read, each time that it is met.
pub(crate) const UNREADABLE: &str = "list:unreadable";
/// A row that gave a pair though not all of its bytes are UTF-8.
pub(crate) const NOT_UTF8: &str = "row:not_utf8";
/// Why a row gives no pair at all.
const BAD_ROWS: [&str; 4] = ["row:no-url", "row:bad-url", "row:no-caption", "row:malformed"];

/// Rows of a list.
#[derive(Debug, Default)]
pub(crate) struct RowCounts {
    all: u64,
    /// Those without a pair, by reason.
    bad: BTreeMap<&'static str, u64>,
}

impl RowCounts {
    /// Adds the rows of a finished job.
    pub(crate) fn add(&mut self, tally: &Tally) {
        self.all += tally.rows;
        for why in BAD_ROWS {
            if let Some(count) = tally.outcomes.get(why) {
                *self.bad.entry(why).or_default() += count;
            }
        }
    }

    /// Whether there are rows, and none of them gave a pair.
    fn is_unusable(&self) -> bool {
        self.all > 0 && self.bad.values().sum::<u64>() == self.all
    }
}

/// The counts of one job.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Decisions: outcomes of candidates, `page:` ones of pages, `row:` and `pair:` ones of what gave no candidate.
    pub(crate) outcomes: BTreeMap<String, u64>,
    /// Newly seen pairs by query.
    pub(crate) counters: FxHashMap<u32, u64>,
    /// What was learnt of hosts.
    pub(crate) traffic: Traffic,
    /// What was stored.
    pub(crate) totals: SegmentTotals,
    /// Pages decided.
    pub(crate) pages: u64,
    /// Rows of a list that were read.
    pub(crate) rows: u64,
}

impl Tally {
    /// Counts one decision.
    pub(crate) fn count(&mut self, outcome: impl Into<String>) {
        *self.outcomes.entry(outcome.into()).or_default() += 1;
    }

    /// Pairs of pages that were seen before.
    pub(crate) fn repeated(&self) -> u64 {
        self.outcomes.get(REPEATED).copied().unwrap_or_default()
    }

    /// Counts the outcomes of candidates.
    pub(crate) fn count_all(&mut self, candidates: &[Candidate]) {
        for candidate in candidates {
            // Few names, many candidates: no new string for each.
            match self.outcomes.get_mut(&candidate.outcome) {
                Some(count) => *count += 1,
                None => self.count(candidate.outcome.clone()),
            }
        }
    }

    /// The part of a commit that is counts.
    pub(crate) fn commit(&self) -> Commit {
        let mut counters: Vec<(u32, u64)> = self.counters.iter().map(|(query, count)| (*query, *count)).collect();
        counters.sort_unstable();
        let hosts = self.traffic.iter().map(|(name, delta)| shards::HostDelta { host: name.clone(), ..delta.clone() }).collect();
        let outcomes = self.outcomes.iter().map(|(name, count)| (name.clone(), *count)).collect();
        Commit { counters, hosts, outcomes, ..Commit::default() }
    }

    /// Adds the requests of a fetch.
    pub(crate) fn learn(&mut self, traffic: Traffic) {
        merge(&mut self.traffic, traffic);
    }
}

/// What a crawl did in this run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrawlSummary {
    /// Jobs finished; 0 when there was nothing left to do, and when it was stopped before the first one.
    pub jobs: u64,
    /// Whether it was told to stop, so that work may be left.
    pub stopped: bool,
    /// Pages decided.
    pub pages: u64,
    /// Pairs decided: rows added to `candidates/`.
    pub candidates: u64,
    /// Pairs kept: rows added to `pool/`.
    pub pairs: u64,
    /// Bytes received, decompressed.
    pub received_bytes: u64,
    /// Bytes of tars written.
    pub stored_bytes: u64,
    /// Requests made.
    pub requests: u64,
    /// Pairs that were not fetched because they lie outside the cap: downloads saved.
    pub saved: u64,
    /// Decisions by outcome. Plain names are of candidates; `page:` ones of pages, `row:`, `pair:` and `image:` ones of what
    /// gave no candidate (but `row:not_utf8`, which is counted besides), `list:` ones of lists.
    pub outcomes: BTreeMap<String, u64>,
    /// Lists whose rows were read in this run and gave no pair at all, each in words.
    pub unusable: Vec<String>,
    /// Whether all sources are lists, and not one of them could be used.
    pub is_in_vain: bool,
    /// Pages that wait because their hosts have given as many as they may.
    pub held: u64,
    /// What is to be said of services that were left alone because they failed again and again.
    pub complaints: Vec<String>,
}

impl CrawlSummary {
    /// Whether the run found all its sources done.
    pub fn is_idle(&self) -> bool {
        self.jobs == 0 && !self.stopped
    }

    /// Notes the lists without a single usable row among the sources; each source comes as its list and the rows read of it in this run.
    pub(crate) fn say_unusable<'a>(&mut self, sources: impl Iterator<Item = (Option<&'a Path>, Option<&'a RowCounts>)>) {
        let mut others = 0;
        for (list, rows) in sources {
            match (list, rows.filter(|rows| rows.is_unusable())) {
                (Some(list), Some(rows)) => {
                    let why: Vec<String> = rows.bad.iter().map(|(why, count)| format!("{why} {count}")).collect();
                    self.unusable.push(format!("{}: none of {} rows gives a pair ({})", list.display(), rows.all, why.join(", ")));
                }
                _ => others += 1,
            }
        }
        let unreadable = self.outcomes.contains_key(UNREADABLE);
        self.is_in_vain = others == 0 && (unreadable || !self.unusable.is_empty());
    }

    /// Adds a finished job.
    pub(crate) fn add(&mut self, tally: Tally) {
        self.jobs += 1;
        self.pages += tally.pages;
        self.candidates += tally.totals.candidates;
        self.pairs += tally.totals.pairs;
        self.stored_bytes += tally.totals.bytes;
        for delta in tally.traffic.values() {
            self.received_bytes += delta.bytes;
            self.requests += delta.requests;
        }
        for (name, count) in tally.outcomes {
            *self.outcomes.entry(name).or_default() += count;
        }
        self.saved = self.outcomes.get(shards::outcome::FULL).copied().unwrap_or_default();
    }
}

impl std::fmt::Display for CrawlSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_idle() {
            f.write_str("nothing left to do: all sources are done, or at their --limit")?;
            return self.write_held(f);
        }
        if self.jobs == 0 {
            return f.write_str("nothing was done: stopped before the first job was finished");
        }
        write!(
            f,
            "{} pairs kept of {} candidates, {} pages, {} requests, {:.1} MB received, {:.1} MB stored, {} downloads saved by the cap",
            self.pairs,
            self.candidates,
            self.pages,
            self.requests,
            self.received_bytes as f64 / 1e6,
            self.stored_bytes as f64 / 1e6,
            self.saved
        )?;
        self.write_held(f)
    }
}

impl CrawlSummary {
    fn write_held(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.held {
            0 => Ok(()),
            1 => f.write_str("; 1 page waits because its host has given --host-pages: a larger one takes it up"),
            held => write!(f, "; {held} pages wait because their hosts have given --host-pages: a larger one takes them up"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_add_up() {
        let mut summary = CrawlSummary::default();
        assert_eq!(summary.to_string(), "nothing left to do: all sources are done, or at their --limit");
        assert!(CrawlSummary { held: 7, ..CrawlSummary::default() }.to_string().contains("7 pages wait"));
        summary.stopped = true;
        assert_eq!((summary.to_string().contains("stopped"), summary.is_idle()), (true, false));
        for _ in 0..2 {
            let mut tally = Tally { pages: 3, totals: SegmentTotals { candidates: 5, pairs: 2, bytes: 10 }, ..Tally::default() };
            tally.count("full");
            tally.count("ok");
            tally.count("ok");
            assert_eq!(tally.commit().outcomes, [("full".to_string(), 1), ("ok".to_string(), 2)]);
            summary.add(tally);
        }
        assert_eq!((summary.jobs, summary.pages, summary.pairs, summary.saved), (2, 6, 4, 2));
    }
}
