//! Work in the catalogue: sources and the jobs cut from them. Pages are in `frontier.rs`.

use crate::catalogue::{signed, statement, unsigned};
use crate::{Catalogue, Error};
use rusqlite::{OptionalExtension, Transaction};
use shards::{Job, JobKind, NewJob, PageLink};

/// Where pairs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its number in the catalogue.
    pub id: u64,
    /// Which code reads it, such as `urls` or `web`.
    pub kind: String,
    /// A file or a URL.
    pub location: String,
    /// `new`, then a word of the crawler's.
    pub state: String,
}

impl Catalogue {
    /// The number and state of a source; an unknown one is added as `new`.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be written.
    pub fn source(&self, kind: &str, location: &str) -> Result<(u64, String), Error> {
        self.write("add a source", |transaction| {
            transaction.execute(statement!("source_add"), (kind, location))?;
            transaction.query_row(statement!("source_find"), (kind, location), |row| Ok((unsigned(row, 0)?, row.get(1)?)))
        })
    }

    /// The number and state of a source; `None` when it is unknown.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn find_source(&self, kind: &str, location: &str) -> Result<Option<(u64, String)>, Error> {
        Ok(self.read("find a source", statement!("source_find"), (kind, location), |row| Ok((unsigned(row, 0)?, row.get(1)?)))?.pop())
    }

    /// The input of the newest plan job of a source, whatever became of it.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn newest_plan(&self, source: u64) -> Result<Option<String>, Error> {
        Ok(self.read("find a job", statement!("plan_newest"), [signed(source)], |row| row.get(0))?.pop())
    }

    /// The inputs of all jobs of a kind that a source ever had, the first recorded first.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn payloads(&self, source: u64, kind: JobKind) -> Result<Vec<String>, Error> {
        self.read("list jobs", statement!("job_payloads"), (signed(source), kind.name()), |row| row.get(0))
    }

    /// Moves a source to a state.
    ///
    /// # Errors
    /// `NoSource` when there is none of this number.
    pub fn set_source_state(&self, id: u64, state: &str) -> Result<(), Error> {
        self.try_write("change a source", |transaction| self.move_source(transaction, id, state))
    }

    /// All sources, oldest first.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn sources(&self) -> Result<Vec<Source>, Error> {
        self.read("list sources", statement!("sources"), [], |row| {
            Ok(Source { id: unsigned(row, 0)?, kind: row.get(1)?, location: row.get(2)?, state: row.get(3)? })
        })
    }

    /// Records jobs of a source and moves it to `state`, in one transaction.
    ///
    /// # Errors
    /// `NoSource` when there is none of this number.
    pub fn add_jobs(&self, source: u64, jobs: &[NewJob], state: &str) -> Result<(), Error> {
        self.try_write("add jobs", |transaction| {
            self.move_source(transaction, source, state)?;
            insert_jobs(transaction, source, jobs).map_err(Error::catalogue("add jobs", self.path()))
        })
    }

    /// Leases the open job of this kind with the lowest number.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be written.
    pub fn next_job(&self, source: u64, kind: JobKind) -> Result<Option<Job>, Error> {
        self.write("lease a job", |transaction| lease(transaction, source, kind))
    }

    /// Jobs that are open or leased, and pages that wait: 0 when a source is done.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn jobs_left(&self, source: u64) -> Result<u64, Error> {
        self.count("count jobs", statement!("jobs_left"), source)
    }

    pub(crate) fn count(&self, what: &'static str, statement: &str, source: u64) -> Result<u64, Error> {
        Ok(self.read(what, statement, [signed(source)], |row| unsigned(row, 0))?.into_iter().sum())
    }

    pub(crate) fn move_source(&self, transaction: &Transaction, id: u64, state: &str) -> Result<(), Error> {
        let changed = transaction.execute(statement!("source_set_state"), (signed(id), state));
        match changed.map_err(Error::catalogue("change a source", self.path()))? {
            0 => Err(Error::NoSource { path: self.path().to_path_buf(), id }),
            _ => Ok(()),
        }
    }

    pub(crate) fn require_source(&self, transaction: &Transaction, id: u64) -> Result<(), Error> {
        let exists = transaction.query_row(statement!("source_exists"), [signed(id)], |row| row.get(0));
        match exists.map_err(Error::catalogue("find a source", self.path()))? {
            true => Ok(()),
            false => Err(Error::NoSource { path: self.path().to_path_buf(), id }),
        }
    }
}

pub(crate) fn lease(transaction: &Transaction, source: u64, kind: JobKind) -> rusqlite::Result<Option<Job>> {
    let mut statement = transaction.prepare_cached(statement!("job_lease"))?;
    let leased = statement.query_row((signed(source), kind.name()), |row| Ok((unsigned(row, 0)?, row.get(1)?))).optional()?;
    let job = |(id, payload)| Ok(Job { id, source, kind, payload, pages: job_pages(transaction, id)? });
    leased.map(job).transpose()
}

pub(crate) fn job_pages(transaction: &Transaction, job: u64) -> rusqlite::Result<Vec<PageLink>> {
    let mut statement = transaction.prepare_cached(statement!("job_pages"))?;
    let pages = statement.query_map([signed(job)], |row| Ok(PageLink { url: row.get(0)?, depth: row.get(1)? }))?;
    pages.collect()
}

pub(crate) fn insert_jobs(transaction: &Transaction, source: u64, jobs: &[NewJob]) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(statement!("job_add"))?;
    for job in jobs {
        statement.query_row((signed(source), job.kind.name(), &job.payload, "open"), |_| Ok(()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::empty_catalogue as catalogue;
    use shards::Commit;

    fn fetch(payload: &str) -> NewJob {
        NewJob { kind: JobKind::Fetch, payload: payload.into() }
    }

    fn page(url: &str, depth: u32) -> PageLink {
        PageLink { url: url.into(), depth }
    }

    #[test]
    fn a_source_is_known_by_kind_and_location() {
        let (_dir, catalogue) = catalogue();
        assert_eq!(catalogue.source("urls", "a").expect("added"), (1, "new".into()));
        assert_eq!(catalogue.source("web", "a").expect("added").0, 2);
        catalogue.set_source_state(1, "planned").expect("moved");
        assert_eq!(catalogue.source("urls", "a").expect("found"), (1, "planned".into()));
        let states: Vec<_> = catalogue.sources().expect("listed").into_iter().map(|source| source.state).collect();
        assert_eq!(states, ["planned", "new"]);
        assert!(matches!(catalogue.set_source_state(9, "planned"), Err(Error::NoSource { id: 9, .. })));
    }

    #[test]
    fn jobs_are_leased_once_lowest_first_and_by_kind() {
        let (_dir, catalogue) = catalogue();
        let (source, _) = catalogue.source("urls", "a").expect("added");
        let jobs = [fetch("one"), NewJob { kind: JobKind::Plan, payload: "plan".into() }, fetch("two")];
        catalogue.add_jobs(source, &jobs, "planned").expect("added");
        assert_eq!(catalogue.sources().expect("listed")[0].state, "planned");
        assert_eq!(catalogue.jobs_left(source).expect("counted"), 3);
        let first = catalogue.next_job(source, JobKind::Fetch).expect("leased").expect("a job");
        assert_eq!((first.id, first.payload.as_str(), first.kind), (1, "one", JobKind::Fetch));
        assert_eq!(catalogue.next_job(source, JobKind::Fetch).expect("leased").expect("a job").payload, "two");
        assert_eq!(catalogue.next_job(source, JobKind::Fetch).expect("asked"), None);
        assert_eq!(catalogue.next_job(source, JobKind::Plan).expect("leased").expect("a job").payload, "plan");
        assert_eq!(catalogue.jobs_left(source).expect("counted"), 3);
    }

    #[test]
    fn the_newest_plan_is_found_when_it_is_done_too() {
        let (_dir, catalogue) = catalogue();
        assert_eq!(catalogue.find_source("urls", "a").expect("asked"), None);
        let (source, state) = catalogue.source("urls", "a").expect("added");
        assert_eq!(catalogue.find_source("urls", "a").expect("asked"), Some((source, state)));
        assert_eq!(catalogue.newest_plan(source).expect("asked"), None);
        let plan = |payload: &str| NewJob { kind: JobKind::Plan, payload: payload.into() };
        catalogue.add_jobs(source, &[plan("old"), plan("new"), fetch("x")], "planning").expect("added");
        while let Some(job) = catalogue.next_job(source, JobKind::Plan).expect("leased") {
            catalogue.commit(&job, &Commit::default()).expect("committed");
        }
        assert_eq!(catalogue.newest_plan(source).expect("asked").as_deref(), Some("new"));
    }

    #[test]
    fn jobs_of_an_unknown_source_change_nothing() {
        let (_dir, catalogue) = catalogue();
        assert!(matches!(catalogue.add_jobs(3, &[fetch("x")], "planned"), Err(Error::NoSource { id: 3, .. })));
        assert!(matches!(catalogue.add_pages(3, &[page("http://a/", 0)]), Err(Error::NoSource { id: 3, .. })));
        assert_eq!(catalogue.jobs_left(3).expect("counted"), 0);
    }

    #[test]
    fn a_killed_process_leaves_its_jobs_to_the_next() {
        let (dir, catalogue) = catalogue();
        let (source, _) = catalogue.source("web", "http://a/").expect("added");
        catalogue.reopen().expect("begun");
        catalogue.add_pages(source, &[page("http://a/x", 0), page("http://a/y", 0)]).expect("added");
        catalogue.add_jobs(source, &[fetch("one")], "going").expect("added");
        let pages = catalogue.lease_pages(source, 10, u64::MAX).expect("leased").expect("a job");
        let job = catalogue.next_job(source, JobKind::Fetch).expect("leased").expect("a job");
        drop(catalogue);
        let catalogue = Catalogue::open(&dir.path().join("catalog.sqlite")).expect("opened");
        assert_eq!(catalogue.next_job(source, JobKind::Fetch).expect("asked"), None);
        catalogue.reopen().expect("begun");
        assert_eq!(catalogue.next_job(source, JobKind::Fetch).expect("leased"), Some(job));
        catalogue.add_pages(source, &[page("http://a/z", 0)]).expect("added");
        assert_eq!(catalogue.lease_pages(source, 1, u64::MAX).expect("leased"), Some(pages));
        assert_eq!(catalogue.lease_pages(source, 1, u64::MAX).expect("leased").expect("a job").pages, [page("http://a/z", 0)]);
    }

    #[test]
    fn threads_never_share_a_job() {
        let (dir, catalogue) = catalogue();
        let (source, _) = catalogue.source("urls", "a").expect("added");
        let jobs: Vec<NewJob> = (0..60).map(|n| fetch(&n.to_string())).collect();
        catalogue.add_jobs(source, &jobs, "planned").expect("added");
        let second = Catalogue::open(&dir.path().join("catalog.sqlite")).expect("opened");
        let work = |catalogue: &Catalogue| {
            let mut mine = Vec::new();
            while let Some(job) = catalogue.next_job(source, JobKind::Fetch).expect("leased") {
                catalogue.commit(&job, &Commit { counters: vec![(0, 1)], ..Commit::default() }).expect("committed");
                mine.push(job.id);
            }
            mine
        };
        let mut done: Vec<u64> = std::thread::scope(|scope| {
            let threads = [scope.spawn(|| work(&catalogue)), scope.spawn(|| work(&catalogue)), scope.spawn(|| work(&second))];
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        done.sort_unstable();
        assert_eq!(done, (1..=60).collect::<Vec<u64>>());
        assert_eq!(catalogue.counters().expect("counted"), [(0, 60)]);
    }
}
