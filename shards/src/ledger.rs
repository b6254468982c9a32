//! The words in which the crawler and the catalogue speak of work: what a job is and what its commit carries.
//!
//! Plain values only. The crawler decides what goes in, the catalogue keeps it; neither knows the other.

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Reads and matches a stretch of a finite source; gives a plan file, no segment.
    Plan,
    /// Decides and fetches the candidates of a plan file.
    Fetch,
    /// Fetches pages of the live web and the pictures found on them.
    Pages,
}

impl JobKind {
    /// The name kept in the catalogue.
    pub fn name(self) -> &'static str {
        match self {
            JobKind::Plan => "plan",
            JobKind::Fetch => "fetch",
            JobKind::Pages => "pages",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [JobKind::Plan, JobKind::Fetch, JobKind::Pages].into_iter().find(|kind| kind.name() == name)
    }
}

/// A piece of work with a fixed input, recorded before it begins. Done at most once more after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number, unique in the corpus and never used again; also the number of the segment it gives.
    pub id: u64,
    /// The source it belongs to.
    pub source: u64,
    /// What it does.
    pub kind: JobKind,
    /// Its input, JSON that only the crawler reads. Empty for `Pages`, whose input is `pages`; older catalogues may hold `Pages` jobs with one.
    pub payload: String,
    /// The pages to fetch, for `Pages`.
    pub pages: Vec<PageLink>,
}

/// A job to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// What it does.
    pub kind: JobKind,
    /// Its input.
    pub payload: String,
}

/// A page of the live web.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageLink {
    /// Its canonical URL.
    pub url: String,
    /// Links followed from a seed to reach it.
    pub depth: u32,
}

/// What a job adds to what is known of a host (name and port).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostDelta {
    /// Host name, with the port if it is not the scheme's own.
    pub host: String,
    /// Requests made.
    pub requests: u64,
    /// Requests that gave what was asked for.
    pub successes: u64,
    /// URLs not asked for because of `robots.txt` or an opt-out.
    pub refused: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Time that the requests took together, in milliseconds.
    pub millis: u64,
}

/// Candidates of an earlier segment that are to be decided anew: its file is without them from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenUp {
    /// The segment.
    pub segment: u64,
    /// How many of them had each outcome.
    pub outcomes: Vec<(String, u64)>,
}

impl TakenUp {
    /// How many they are.
    pub fn rows(&self) -> u64 {
        self.outcomes.iter().map(|(_, count)| count).sum()
    }
}

/// What a segment holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentTotals {
    /// Rows of its candidates file.
    pub candidates: u64,
    /// Rows of its pool file.
    pub pairs: u64,
    /// Size of its tar in bytes, 0 when nothing was fetched.
    pub bytes: u64,
}

/// Everything that becomes true when a job is done, in one transaction: the commit point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The segment whose files are in place, if the job gives one.
    pub segment: Option<SegmentTotals>,
    /// Newly seen distinct pairs by query id.
    pub counters: Vec<(u32, u64)>,
    /// Pages found; those already known are left as they are.
    pub pages: Vec<PageLink>,
    /// What became of the job's pages: URL and outcome.
    pub visited: Vec<(String, String)>,
    /// Pages of the job that were not visited after all, by URL: they wait again.
    pub waiting: Vec<String>,
    /// Jobs that follow from this one.
    pub jobs: Vec<NewJob>,
    /// What was learnt of hosts.
    pub hosts: Vec<HostDelta>,
    /// Decisions by outcome, for status: as [`crate::Candidate`]'s `outcome`, pages as `page:OUTCOME`.
    pub outcomes: Vec<(String, u64)>,
    /// What an earlier segment loses, if anything.
    pub taken_up: Option<TakenUp>,
    /// The source's new state, if it changes.
    pub source_state: Option<String>,
}
