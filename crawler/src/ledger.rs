//! What the crawler needs of a catalogue: to be told of open work and to have finished work recorded, once.

use shards::{Commit, Job, JobKind, NewJob, PageLink};

/// Whatever a catalogue answers when it cannot.
pub type LedgerError = Box<dyn std::error::Error + Send + Sync>;

/// The state of a crawl. Every method is one transaction; calls may block for as long as a disk sync takes.
pub trait Ledger: Send + Sync {
    /// The number and state of a source, inserted as `new` when unknown.
    ///
    /// # Errors
    /// The catalogue's own, here and below.
    fn source(&self, kind: &str, location: &str) -> Result<(u64, String), LedgerError>;
    /// The number and state of a source; `None` when it is unknown.
    ///
    /// # Errors
    /// The catalogue's own.
    fn find_source(&self, kind: &str, location: &str) -> Result<Option<(u64, String)>, LedgerError>;
    /// The input of the newest plan job of a source, whatever became of it.
    ///
    /// # Errors
    /// The catalogue's own.
    fn newest_plan(&self, source: u64) -> Result<Option<String>, LedgerError>;
    /// The numbers and locations of the sources of a kind, oldest first.
    ///
    /// # Errors
    /// The catalogue's own.
    fn sources_of(&self, kind: &str) -> Result<Vec<(u64, String)>, LedgerError>;
    /// Changes a source's state.
    ///
    /// # Errors
    /// The catalogue's own.
    fn set_source_state(&self, source: u64, state: &str) -> Result<(), LedgerError>;
    /// Records open jobs and the source's state together.
    ///
    /// # Errors
    /// The catalogue's own.
    fn add_jobs(&self, source: u64, jobs: &[NewJob], state: &str) -> Result<(), LedgerError>;
    /// Adds waiting pages; those known by (source, URL) are left as they are.
    ///
    /// # Errors
    /// The catalogue's own.
    fn add_pages(&self, source: u64, pages: &[PageLink]) -> Result<(), LedgerError>;
    /// Leases the open job of this kind with the lowest number.
    ///
    /// # Errors
    /// The catalogue's own.
    fn next_job(&self, source: u64, kind: JobKind) -> Result<Option<Job>, LedgerError>;
    /// Makes a leased `Pages` job of at most `limit` waiting pages, shared among hosts so that those asked least come first, within a host
    /// lowest (depth, insertion) first. Of a host at most `per_host` pages are asked for by all sources together.
    ///
    /// # Errors
    /// The catalogue's own.
    fn lease_pages(&self, source: u64, limit: usize, per_host: u64) -> Result<Option<Job>, LedgerError>;
    /// Brings the order of the next `limit` waiting pages up to date: `rank` gives a page's depth by now, never less than before. Those
    /// that it gives none for are done with outcome `full`.
    ///
    /// # Errors
    /// The catalogue's own.
    fn rank_pages(&self, source: u64, limit: usize, rank: &dyn Fn(&str) -> Option<u32>) -> Result<(), LedgerError>;
    /// Makes pages of these outcomes wait again, takes their counts back, and moves the source to `retrying` if there are any; gives
    /// their number.
    ///
    /// # Errors
    /// The catalogue's own.
    fn retry_pages(&self, source: u64, outcomes: &[String]) -> Result<u64, LedgerError>;
    /// Makes leased jobs open again, at the start of a run.
    ///
    /// # Errors
    /// The catalogue's own.
    fn reopen(&self) -> Result<(), LedgerError>;
    /// Marks a job done with everything that follows from it: the commit point.
    ///
    /// # Errors
    /// The catalogue's own, and when the job is not leased, so that nothing is counted twice.
    fn commit(&self, job: &Job, commit: &Commit) -> Result<(), LedgerError>;
    /// Pairs seen by query id.
    ///
    /// # Errors
    /// The catalogue's own.
    fn counters(&self) -> Result<Vec<(u32, u64)>, LedgerError>;
    /// Numbers of the segments whose files count.
    ///
    /// # Errors
    /// The catalogue's own.
    fn committed_segments(&self) -> Result<Vec<u64>, LedgerError>;
    /// The largest number that a job ever had; 0 when there was none.
    ///
    /// # Errors
    /// The catalogue's own.
    fn newest_job(&self) -> Result<u64, LedgerError>;
    /// Open and leased jobs plus waiting pages of a source.
    ///
    /// # Errors
    /// The catalogue's own.
    fn jobs_left(&self, source: u64) -> Result<u64, LedgerError>;
    /// Pages of a source that were asked for by finished jobs: without those that were closed as `trap`, `full` or `removed`.
    ///
    /// # Errors
    /// The catalogue's own.
    fn pages_done(&self, source: u64) -> Result<u64, LedgerError>;
}
