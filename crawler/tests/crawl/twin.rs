//! A catalogue in memory, stricter than the real one: a job done twice, or work for an unknown source, is a panic.

use crawler::{Ledger, LedgerError};
use shards::{Commit, Job, JobKind, NewJob, PageLink};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Mutex;
use url::Url;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Open,
    Leased,
    Done,
}

struct Page {
    source: u64,
    link: PageLink,
    host: String,
    /// The job that took it.
    job: Option<u64>,
    /// Settled without a job, or what became of it.
    outcome: String,
}

impl Page {
    fn waits(&self) -> bool {
        self.job.is_none() && self.outcome.is_empty()
    }

    fn asked(&self) -> bool {
        !self.waits() && !["trap", "full", "removed"].contains(&self.outcome.as_str())
    }
}

fn host(url: &str) -> String {
    let url = Url::parse(url).expect("a URL");
    let name = url.host_str().expect("a host");
    url.port().map_or_else(|| name.to_string(), |port| format!("{name}:{port}"))
}

#[derive(Default)]
struct Inner {
    sources: Vec<(String, String, String)>,
    jobs: Vec<(Job, State)>,
    pages: Vec<Page>,
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
                self.pages.push(Page { source, link: page.clone(), host: host(&page.url), job: None, outcome: String::new() });
            }
        }
    }

    fn page(&mut self, source: u64, url: &str) -> &mut Page {
        self.pages.iter_mut().find(|page| page.source == source && page.link.url == url).expect("a page of the source")
    }

    /// Where the waiting pages of a source stand, nearest first.
    fn waiting(&self, source: u64) -> Vec<usize> {
        let mut waiting: Vec<usize> = (0..self.pages.len()).filter(|&i| self.pages[i].source == source && self.pages[i].waits()).collect();
        waiting.sort_by_key(|&i| self.pages[i].link.depth);
        waiting
    }

    /// The next pages: always one of the host that was asked least.
    fn next_pages(&self, source: u64, limit: usize, per_host: u64) -> Vec<usize> {
        let mut hosts = BTreeMap::<&str, (u64, VecDeque<usize>)>::new();
        self.pages.iter().for_each(|page| hosts.entry(&page.host).or_default().0 += u64::from(page.asked()));
        for i in self.waiting(source) {
            hosts.entry(&self.pages[i].host).or_default().1.push_back(i);
        }
        let mut taken = Vec::new();
        while taken.len() < limit {
            let open = hosts.values_mut().filter(|(asked, waiting)| *asked < per_host && !waiting.is_empty());
            let Some((asked, waiting)) = open.min_by_key(|(asked, _)| *asked) else { break };
            *asked += 1;
            taken.extend(waiting.pop_front());
        }
        taken
    }

    fn take_back(&mut self, outcome: &str, count: u64) {
        let left = self.outcomes.get_mut(outcome).expect("counted before");
        *left = left.checked_sub(count).expect("no more than were counted");
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

    /// What became of the pages, by URL; empty while they wait.
    pub fn pages(&self) -> BTreeMap<String, String> {
        self.inner().pages.iter().map(|page| (page.link.url.clone(), page.outcome.clone())).collect()
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

    fn sources_of(&self, kind: &str) -> Result<Vec<(u64, String)>, LedgerError> {
        let inner = self.inner();
        let all = inner.sources.iter().enumerate();
        Ok(all.filter(|(_, source)| source.0 == kind).map(|(id, source)| (id as u64, source.1.clone())).collect())
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

    fn lease_pages(&self, source: u64, limit: usize, per_host: u64) -> Result<Option<Job>, LedgerError> {
        let mut inner = self.inner();
        let id = inner.jobs.len() as u64;
        let next = inner.next_pages(source, limit, per_host);
        if next.is_empty() {
            return Ok(None);
        }
        let pages = next.iter().map(|&i| inner.pages[i].link.clone()).collect();
        next.iter().for_each(|&i| inner.pages[i].job = Some(id));
        let job = Job { id, source, kind: JobKind::Pages, payload: String::new(), pages };
        inner.jobs.push((job.clone(), State::Leased));
        Ok(Some(job))
    }

    fn rank_pages(&self, source: u64, _: usize, rank: &dyn Fn(&str) -> Option<u32>) -> Result<(), LedgerError> {
        let mut inner = self.inner();
        for i in inner.waiting(source) {
            let page = &mut inner.pages[i];
            match rank(&page.link.url) {
                Some(rank) => {
                    page.link.depth = rank.max(page.link.depth);
                }
                None => {
                    page.outcome = "full".to_string();
                    *inner.outcomes.entry("page:full".to_string()).or_default() += 1;
                }
            }
        }
        Ok(())
    }

    fn retry_pages(&self, source: u64, outcomes: &[String]) -> Result<u64, LedgerError> {
        let mut inner = self.inner();
        let mut back = Vec::new();
        for page in inner.pages.iter_mut().filter(|page| page.source == source && outcomes.contains(&page.outcome)) {
            page.job = None;
            back.push(std::mem::take(&mut page.outcome));
        }
        back.iter().for_each(|outcome| inner.take_back(&format!("page:{outcome}"), 1));
        if !back.is_empty() {
            inner.sources[source as usize].2 = "retrying".to_string();
        }
        Ok(back.len() as u64)
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
            inner.take_back(outcome, *count);
        }
        for delta in &commit.hosts {
            assert!(!delta.host.is_empty());
            let host = inner.hosts.entry(delta.host.clone()).or_default();
            host.requests += delta.requests;
            host.refused += delta.refused;
            host.successes += delta.successes;
            host.bytes += delta.bytes;
        }
        let told = commit.visited.len() + commit.waiting.len();
        assert!(job.kind != JobKind::Pages || told == job.pages.len(), "each page of a job has an outcome or waits again");
        for (url, outcome) in &commit.visited {
            inner.page(job.source, url).outcome = outcome.clone();
        }
        for url in &commit.waiting {
            inner.page(job.source, url).job = None;
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
        Ok((jobs + inner.waiting(source).len()) as u64)
    }

    fn pages_done(&self, source: u64) -> Result<u64, LedgerError> {
        let inner = self.inner();
        let done =
            |page: &&Page| page.source == source && page.asked() && page.job.is_some_and(|job| inner.jobs[job as usize].1 == State::Done);
        Ok(inner.pages.iter().filter(done).count() as u64)
    }
}
