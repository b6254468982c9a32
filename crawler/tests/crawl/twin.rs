//! A catalogue in memory, stricter than the real one: a job done twice, or work for an unknown source, is a panic.

use crawler::{Ledger, LedgerError};
use shards::{Commit, Job, JobKind, NewJob, PageLink};
use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Open,
    Leased,
    Done,
}

#[derive(Default)]
struct Inner {
    sources: Vec<(String, String, String)>,
    jobs: Vec<(Job, State)>,
    /// Source, page, and the job that took it.
    pages: Vec<(u64, PageLink, Option<u64>)>,
    known: HashSet<(u64, String)>,
    counters: BTreeMap<u32, u64>,
    segments: Vec<u64>,
    outcomes: BTreeMap<String, u64>,
    hosts: BTreeMap<String, shards::HostDelta>,
}

impl Inner {
    fn add_jobs(&mut self, source: u64, jobs: &[NewJob]) {
        for job in jobs {
            let id = self.jobs.len() as u64;
            let job = Job { id, source, kind: job.kind, payload: job.payload.clone(), pages: Vec::new() };
            self.jobs.push((job, State::Open));
        }
    }

    fn add_pages(&mut self, source: u64, pages: &[PageLink]) {
        for page in pages {
            if self.known.insert((source, page.url.clone())) {
                self.pages.push((source, page.clone(), None));
            }
        }
    }
}

/// The catalogue.
#[derive(Default)]
pub struct Twin {
    inner: Mutex<Inner>,
}

impl Twin {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no test panicked before")
    }

    /// Decisions by outcome over all commits.
    pub fn outcomes(&self) -> BTreeMap<String, u64> {
        self.inner().outcomes.clone()
    }

    /// What is known of hosts.
    pub fn hosts(&self) -> BTreeMap<String, shards::HostDelta> {
        self.inner().hosts.clone()
    }

    /// States of the sources.
    pub fn states(&self) -> Vec<String> {
        self.inner().sources.iter().map(|(_, _, state)| state.clone()).collect()
    }

    /// Locations of the sources.
    pub fn locations(&self) -> Vec<String> {
        self.inner().sources.iter().map(|(_, location, _)| location.clone()).collect()
    }

    /// Pairs seen by query.
    pub fn counts(&self) -> BTreeMap<u32, u64> {
        self.inner().counters.clone()
    }
}

impl Ledger for Twin {
    fn source(&self, kind: &str, location: &str) -> Result<(u64, String), LedgerError> {
        let mut inner = self.inner();
        if let Some(id) = inner.sources.iter().position(|(k, l, _)| k == kind && l == location) {
            return Ok((id as u64, inner.sources[id].2.clone()));
        }
        inner.sources.push((kind.to_string(), location.to_string(), "new".to_string()));
        Ok((inner.sources.len() as u64 - 1, "new".to_string()))
    }

    fn find_source(&self, kind: &str, location: &str) -> Result<Option<(u64, String)>, LedgerError> {
        let inner = self.inner();
        let id = inner.sources.iter().position(|(k, l, _)| k == kind && l == location);
        Ok(id.map(|id| (id as u64, inner.sources[id].2.clone())))
    }

    fn newest_plan(&self, source: u64) -> Result<Option<String>, LedgerError> {
        let inner = self.inner();
        let newest = inner.jobs.iter().rev().find(|(job, _)| job.source == source && job.kind == JobKind::Plan);
        Ok(newest.map(|(job, _)| job.payload.clone()))
    }

    fn sources_of(&self, kind: &str) -> Result<Vec<u64>, LedgerError> {
        let inner = self.inner();
        Ok((0..inner.sources.len() as u64).filter(|&id| inner.sources[id as usize].0 == kind).collect())
    }

    fn set_source_state(&self, source: u64, state: &str) -> Result<(), LedgerError> {
        self.inner().sources[source as usize].2 = state.to_string();
        Ok(())
    }

    fn add_jobs(&self, source: u64, jobs: &[NewJob], state: &str) -> Result<(), LedgerError> {
        let mut inner = self.inner();
        inner.sources[source as usize].2 = state.to_string();
        inner.add_jobs(source, jobs);
        Ok(())
    }

    fn add_pages(&self, source: u64, pages: &[PageLink]) -> Result<(), LedgerError> {
        self.inner().add_pages(source, pages);
        Ok(())
    }

    fn next_job(&self, source: u64, kind: JobKind) -> Result<Option<Job>, LedgerError> {
        let mut inner = self.inner();
        let next = inner.jobs.iter_mut().find(|(job, state)| job.source == source && job.kind == kind && *state == State::Open);
        Ok(next.map(|(job, state)| {
            *state = State::Leased;
            job.clone()
        }))
    }

    fn lease_pages(&self, source: u64, limit: usize) -> Result<Option<Job>, LedgerError> {
        let mut inner = self.inner();
        let id = inner.jobs.len() as u64;
        let mut waiting: Vec<usize> =
            (0..inner.pages.len()).filter(|&i| inner.pages[i].0 == source && inner.pages[i].2.is_none()).collect();
        waiting.sort_by_key(|&i| inner.pages[i].1.depth);
        waiting.truncate(limit);
        if waiting.is_empty() {
            return Ok(None);
        }
        let pages = waiting.iter().map(|&i| inner.pages[i].1.clone()).collect();
        waiting.iter().for_each(|&i| inner.pages[i].2 = Some(id));
        let job = Job { id, source, kind: JobKind::Pages, payload: String::new(), pages };
        inner.jobs.push((job.clone(), State::Leased));
        Ok(Some(job))
    }

    fn reopen(&self) -> Result<(), LedgerError> {
        self.inner().jobs.iter_mut().filter(|(_, state)| *state == State::Leased).for_each(|(_, state)| *state = State::Open);
        Ok(())
    }

    fn commit(&self, job: &Job, commit: &Commit) -> Result<(), LedgerError> {
        let mut inner = self.inner();
        let (known, state) = &mut inner.jobs[job.id as usize];
        assert_eq!(known, job, "the job is the one that was leased");
        assert_eq!(*state, State::Leased, "job {} is done once", job.id);
        *state = State::Done;
        if let Some(totals) = &commit.segment {
            assert!(totals.pairs <= totals.candidates);
            inner.segments.push(job.id);
        }
        for (query, count) in &commit.counters {
            *inner.counters.entry(*query).or_default() += count;
        }
        for (outcome, count) in &commit.outcomes {
            *inner.outcomes.entry(outcome.clone()).or_default() += count;
        }
        for (outcome, count) in commit.taken_up.iter().flat_map(|taken| &taken.outcomes) {
            let left = inner.outcomes.get_mut(outcome).expect("counted before");
            *left = left.checked_sub(*count).expect("no more than were counted");
        }
        for delta in &commit.hosts {
            assert!(!delta.host.is_empty());
            let host = inner.hosts.entry(delta.host.clone()).or_default();
            host.requests += delta.requests;
            host.refused += delta.refused;
            host.successes += delta.successes;
            host.bytes += delta.bytes;
        }
        inner.add_pages(job.source, &commit.pages);
        inner.add_jobs(job.source, &commit.jobs);
        Ok(())
    }

    fn counters(&self) -> Result<Vec<(u32, u64)>, LedgerError> {
        Ok(self.inner().counters.iter().map(|(query, count)| (*query, *count)).collect())
    }

    fn committed_segments(&self) -> Result<Vec<u64>, LedgerError> {
        Ok(self.inner().segments.clone())
    }

    fn newest_job(&self) -> Result<u64, LedgerError> {
        Ok(self.inner().jobs.iter().map(|(job, _)| job.id).max().unwrap_or_default())
    }

    fn jobs_left(&self, source: u64) -> Result<u64, LedgerError> {
        let inner = self.inner();
        let jobs = inner.jobs.iter().filter(|(job, state)| job.source == source && *state != State::Done).count();
        let pages = inner.pages.iter().filter(|(owner, _, job)| *owner == source && job.is_none()).count();
        Ok((jobs + pages) as u64)
    }

    fn pages_done(&self, source: u64) -> Result<u64, LedgerError> {
        let inner = self.inner();
        let done = |job: &Option<u64>| job.is_some_and(|job| inner.jobs[job as usize].1 == State::Done);
        Ok(inner.pages.iter().filter(|(owner, _, job)| *owner == source && done(job)).count() as u64)
    }
}
