//! What the catalogue knows: counters, segments, hosts, outcomes, the state of the whole, and small things to remember.

use crate::catalogue::{signed, statement, unsigned};
use crate::{Catalogue, Error, Source};
use shards::HostDelta;

/// How far one source has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// The source.
    pub source: Source,
    /// Jobs that nobody works on yet.
    pub jobs_open: u64,
    /// Jobs being worked on, or left by a process that died.
    pub jobs_leased: u64,
    /// Jobs committed.
    pub jobs_done: u64,
    /// Pages that no job has yet.
    pub pages_waiting: u64,
    /// Pages of jobs that are not done.
    pub pages_leased: u64,
    /// Pages fetched, or given up for a reason.
    pub pages_done: u64,
}

/// What a corpus holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Segments committed.
    pub segments: u64,
    /// Rows of all candidates files.
    pub candidates: u64,
    /// Rows of all pool files.
    pub pairs: u64,
    /// Size of all tars in bytes.
    pub bytes: u64,
    /// Hosts that were asked for anything.
    pub hosts: u64,
    /// Queries that matched at least one pair.
    pub queries_seen: u64,
}

/// The state of the whole corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Each source, oldest first.
    pub sources: Vec<SourceStatus>,
    /// What the corpus holds.
    pub totals: Totals,
    /// Decisions by outcome, the most frequent first.
    pub outcomes: Vec<(String, u64)>,
}

/// A committed segment, as the catalogue knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeld {
    /// Its number, which is that of the job that gave it.
    pub id: u64,
    /// Rows of its candidates file.
    pub candidates: u64,
    /// Rows of its pool file.
    pub pairs: u64,
    /// Size of its tar in bytes; 0 when nothing was fetched.
    pub bytes: u64,
    /// When it was committed, in milliseconds since 1970 UTC.
    pub time_ms: u64,
}

impl Catalogue {
    /// What each committed segment holds, ascending by number.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn segments_held(&self) -> Result<Vec<SegmentHeld>, Error> {
        self.read("list segments", statement!("segments_held"), [], |row| {
            Ok(SegmentHeld {
                id: unsigned(row, 0)?,
                candidates: unsigned(row, 1)?,
                pairs: unsigned(row, 2)?,
                bytes: unsigned(row, 3)?,
                time_ms: unsigned(row, 4)?,
            })
        })
    }

    /// What is wrong with the file itself, in SQLite's words (at most 20); nothing when it is whole.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read at all.
    pub fn damage(&self) -> Result<Vec<String>, Error> {
        let mut said = self.read("check tables", statement!("integrity"), [], |row| row.get::<_, String>(0))?;
        said.retain(|line| line != "ok");
        Ok(said)
    }

    /// Distinct pairs seen by query id, ascending.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn counters(&self) -> Result<Vec<(u32, u64)>, Error> {
        self.read("read counters", statement!("counters"), [], |row| Ok((row.get(0)?, unsigned(row, 1)?)))
    }

    /// Numbers of the segments whose files belong to the corpus, ascending; other files are leftovers.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn committed_segments(&self) -> Result<Vec<u64>, Error> {
        self.read("list segments", statement!("segments"), [], |row| unsigned(row, 0))
    }

    /// The largest number that a job has; 0 when there is none.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn newest_job(&self) -> Result<u64, Error> {
        Ok(self.read("find the newest job", statement!("job_newest"), [], |row| unsigned(row, 0))?.first().copied().unwrap_or_default())
    }

    /// What is known of each host, those that gave most bytes first.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn hosts(&self) -> Result<Vec<HostDelta>, Error> {
        self.read("list hosts", statement!("hosts"), [], |row| {
            Ok(HostDelta {
                host: row.get(0)?,
                requests: unsigned(row, 1)?,
                successes: unsigned(row, 2)?,
                refused: unsigned(row, 3)?,
                bytes: unsigned(row, 4)?,
                millis: unsigned(row, 5)?,
            })
        })
    }

    /// Decisions by outcome, the most frequent first.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn outcomes(&self) -> Result<Vec<(String, u64)>, Error> {
        self.read("list outcomes", statement!("outcomes"), [], |row| Ok((row.get(0)?, unsigned(row, 1)?)))
    }

    /// Corrects what is counted after rows were taken down: decisions by outcome, and by segment the rows of its pool file.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be written; nothing is changed then.
    pub fn recount(&self, outcomes: &[(String, u64)], pairs: &[(u64, u64)]) -> Result<(), Error> {
        self.write("correct counts", |transaction| {
            for (outcome, count) in outcomes {
                transaction.execute(statement!("outcome_set"), (outcome, signed(*count)))?;
            }
            for (segment, pairs) in pairs {
                transaction.execute(statement!("segment_pairs"), (signed(*segment), signed(*pairs)))?;
            }
            Ok(())
        })
    }

    /// The state of the whole corpus.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn status(&self) -> Result<Status, Error> {
        let sources = self.read("read the state", statement!("status_sources"), [], source_status)?;
        let totals = self.read("read the state", statement!("status_totals"), [], totals)?;
        Ok(Status { sources, totals: totals.into_iter().next().unwrap_or_default(), outcomes: self.outcomes()? })
    }

    /// Keeps a small piece of state under a name, in place of an earlier one.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be written.
    pub fn remember(&self, key: &str, value: &str) -> Result<(), Error> {
        self.write("remember a property", |transaction| transaction.execute(statement!("remember"), (key, value)).map(|_| ()))
    }

    /// What was kept under a name.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn recall(&self, key: &str) -> Result<Option<String>, Error> {
        Ok(self.read("recall a property", statement!("recall"), [key], |row| row.get(0))?.pop())
    }
}

fn source_status(row: &rusqlite::Row) -> rusqlite::Result<SourceStatus> {
    Ok(SourceStatus {
        source: Source { id: unsigned(row, 0)?, kind: row.get(1)?, location: row.get(2)?, state: row.get(3)? },
        jobs_open: unsigned(row, 4)?,
        jobs_leased: unsigned(row, 5)?,
        jobs_done: unsigned(row, 6)?,
        pages_waiting: unsigned(row, 7)?,
        pages_leased: unsigned(row, 8)?,
        pages_done: unsigned(row, 9)?,
    })
}

fn totals(row: &rusqlite::Row) -> rusqlite::Result<Totals> {
    Ok(Totals {
        segments: unsigned(row, 0)?,
        candidates: unsigned(row, 1)?,
        pairs: unsigned(row, 2)?,
        bytes: unsigned(row, 3)?,
        hosts: unsigned(row, 4)?,
        queries_seen: unsigned(row, 5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shards::{Commit, JobKind, NewJob, PageLink, SegmentTotals};

    #[test]
    fn status_counts_by_source_and_state() {
        let dir = tempfile::tempdir().expect("a folder");
        let catalogue = Catalogue::open(&dir.path().join("catalog.sqlite")).expect("made");
        let (list, _) = catalogue.source("urls", "a.tsv").expect("added");
        let (web, _) = catalogue.source("web", "http://a/").expect("added");
        catalogue.add_jobs(list, &vec![NewJob { kind: JobKind::Fetch, payload: String::new() }; 4], "planned").expect("added");
        let pages: Vec<PageLink> = (0..5).map(|n| PageLink { url: format!("http://a/{n}"), depth: 0 }).collect();
        catalogue.add_pages(web, &pages).expect("added");
        let done = catalogue.next_job(list, JobKind::Fetch).expect("leased").expect("a job");
        catalogue.next_job(list, JobKind::Fetch).expect("leased").expect("a job");
        catalogue.lease_pages(web, 2, u64::MAX).expect("leased").expect("a job");
        let totals = SegmentTotals { candidates: 10, pairs: 6, bytes: 4096 };
        let commit = Commit { segment: Some(totals), counters: vec![(0, 6), (7, 0)], ..Commit::default() };
        catalogue.commit(&done, &commit).expect("committed");

        let status = catalogue.status().expect("read");
        let jobs: Vec<_> = status.sources.iter().map(|s| (s.jobs_open, s.jobs_leased, s.jobs_done)).collect();
        let pages: Vec<_> = status.sources.iter().map(|s| (s.pages_waiting, s.pages_leased, s.pages_done)).collect();
        assert_eq!(jobs, [(2, 1, 1), (0, 1, 0)]);
        assert_eq!(pages, [(0, 0, 0), (3, 2, 0)]);
        let held = catalogue.segments_held().expect("read");
        assert_eq!((held.len(), held[0].id, held[0].candidates, held[0].pairs, held[0].bytes), (1, done.id, 10, 6, 4096));
        assert!(catalogue.damage().expect("checked").is_empty());
        assert_eq!(catalogue.payloads(list, JobKind::Fetch).expect("read").len(), 4);
        catalogue.recount(&[("removed".to_string(), 2)], &[(done.id, 4)]).expect("counted");
        assert_eq!(
            (catalogue.outcomes().expect("read"), catalogue.status().expect("read").totals.pairs),
            (vec![("removed".to_string(), 2)], 4)
        );
        catalogue.recount(&[], &[(done.id, 6)]).expect("counted");
        assert_eq!(status.totals, Totals { segments: 1, candidates: 10, pairs: 6, bytes: 4096, hosts: 0, queries_seen: 1 });
    }

    #[test]
    fn remembers_the_latest() {
        let dir = tempfile::tempdir().expect("a folder");
        let catalogue = Catalogue::open(&dir.path().join("catalog.sqlite")).expect("made");
        assert_eq!(catalogue.recall("seen-index").expect("read"), None);
        catalogue.remember("seen-index", "1").expect("kept");
        catalogue.remember("seen-index", "2").expect("kept");
        assert_eq!(catalogue.recall("seen-index").expect("read").as_deref(), Some("2"));
    }

    #[test]
    fn an_empty_catalogue_has_an_empty_state() {
        let dir = tempfile::tempdir().expect("a folder");
        let catalogue = Catalogue::open(&dir.path().join("catalog.sqlite")).expect("made");
        let status = catalogue.status().expect("read");
        assert_eq!(status, Status { sources: vec![], totals: Totals::default(), outcomes: vec![] });
        assert!(catalogue.hosts().expect("read").is_empty() && catalogue.committed_segments().expect("read").is_empty());
    }
}
