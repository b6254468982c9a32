//! The commit point: everything a job found becomes true in one transaction, or nothing does.

use crate::catalogue::{signed, statement};
use crate::frontier::{insert_pages, settle_pages};
use crate::jobs::insert_jobs;
use crate::{Catalogue, Error};
use rusqlite::{OptionalExtension, Transaction};
use shards::{Commit, HostDelta, Job, SegmentTotals};
use std::time::{SystemTime, UNIX_EPOCH};

impl Catalogue {
    /// Takes the result of a leased job: marks it and its pages as done, records its segment, adds its counts, and adds
    /// the pages and jobs it gave. When this returns, all of it is on disk; after an error, none of it is.
    ///
    /// # Errors
    /// `NotLeased` when the job is not leased: it was committed before, or is another's.
    pub fn commit(&self, job: &Job, commit: &Commit) -> Result<(), Error> {
        self.try_write("commit a job", |transaction| {
            self.finish(transaction, job)?;
            record(transaction, job, commit).map_err(Error::catalogue("commit a job", self.path()))?;
            commit.source_state.as_ref().map_or(Ok(()), |state| self.move_source(transaction, job.source, state))
        })
    }

    fn finish(&self, transaction: &Transaction, job: &Job) -> Result<(), Error> {
        let failed = || Error::catalogue("finish a job", self.path());
        let finished = transaction.execute(statement!("job_finish"), (signed(job.id), signed(job.source))).map_err(failed())?;
        if finished == 1 {
            return Ok(());
        }
        let state = transaction.query_row(statement!("job_state"), [signed(job.id)], |row| row.get(0)).optional().map_err(failed())?;
        let state = state.unwrap_or_else(|| "unknown".to_string());
        Err(Error::NotLeased { path: self.path().to_path_buf(), job: job.id, state })
    }
}

fn record(transaction: &Transaction, job: &Job, commit: &Commit) -> rusqlite::Result<()> {
    transaction.execute(statement!("pages_finish"), [signed(job.id)])?;
    settle_pages(transaction, job.source, commit)?;
    if let Some(totals) = &commit.segment {
        add_segment(transaction, job.id, totals)?;
    }
    add_counts(transaction, commit)?;
    if let Some(taken) = &commit.taken_up {
        transaction.execute(statement!("segment_take"), (signed(taken.segment), signed(taken.rows())))?;
        for (outcome, count) in &taken.outcomes {
            transaction.execute(statement!("outcome_take"), (outcome, signed(*count)))?;
        }
    }
    for host in &commit.hosts {
        add_host(transaction, host)?;
    }
    insert_pages(transaction, job.source, &commit.pages)?;
    insert_jobs(transaction, job.source, &commit.jobs)
}

fn add_segment(transaction: &Transaction, id: u64, totals: &SegmentTotals) -> rusqlite::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64);
    let values = (signed(id), signed(totals.candidates), signed(totals.pairs), signed(totals.bytes), signed(now));
    transaction.execute(statement!("segment_add"), values).map(|_| ())
}

fn add_counts(transaction: &Transaction, commit: &Commit) -> rusqlite::Result<()> {
    let mut counter = transaction.prepare_cached(statement!("counter_add"))?;
    for &(query, seen) in &commit.counters {
        counter.execute((query, signed(seen)))?;
    }
    let mut outcome = transaction.prepare_cached(statement!("outcome_add"))?;
    for (name, count) in &commit.outcomes {
        outcome.execute((name, signed(*count)))?;
    }
    Ok(())
}

fn add_host(transaction: &Transaction, host: &HostDelta) -> rusqlite::Result<()> {
    let values = (&host.host, signed(host.requests), signed(host.successes), signed(host.refused), signed(host.bytes), signed(host.millis));
    transaction.prepare_cached(statement!("host_add"))?.execute(values).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shards::{JobKind, NewJob, PageLink};

    fn leased() -> (tempfile::TempDir, Catalogue, Job) {
        let dir = tempfile::tempdir().expect("a folder");
        let catalogue = Catalogue::open(&dir.path().join("catalog.sqlite")).expect("made");
        let (source, _) = catalogue.source("web", "http://a/").expect("added");
        catalogue.add_pages(source, &[PageLink { url: "http://a/".into(), depth: 0 }]).expect("added");
        let job = catalogue.lease_pages(source, 10, u64::MAX).expect("leased").expect("a job");
        (dir, catalogue, job)
    }

    fn result() -> Commit {
        Commit {
            segment: Some(SegmentTotals { candidates: 5, pairs: 3, bytes: 700 }),
            counters: vec![(4, 2), (9, 1), (4, 1)],
            pages: vec![PageLink { url: "http://a/".into(), depth: 1 }, PageLink { url: "http://a/b".into(), depth: 1 }],
            jobs: vec![NewJob { kind: JobKind::Fetch, payload: "rest".into() }],
            hosts: vec![HostDelta { host: "a".into(), requests: 6, successes: 4, refused: 1, bytes: 900, millis: 70 }],
            outcomes: vec![("ok".into(), 3), ("page:ok".into(), 1)],
            source_state: Some("going".into()),
            ..Commit::default()
        }
    }

    #[test]
    fn everything_becomes_true_at_once() {
        let (_dir, catalogue, job) = leased();
        catalogue.commit(&job, &result()).expect("committed");
        assert_eq!(catalogue.counters().expect("read"), [(4, 3), (9, 1)]);
        assert_eq!(catalogue.committed_segments().expect("read"), [job.id]);
        assert_eq!(catalogue.hosts().expect("read"), result().hosts);
        assert_eq!(catalogue.outcomes().expect("read"), result().outcomes);
        assert_eq!(catalogue.sources().expect("read")[0].state, "going");
        assert_eq!(catalogue.pages_done(job.source).expect("read"), 1);
        assert_eq!(catalogue.next_job(job.source, JobKind::Fetch).expect("leased").expect("a job").payload, "rest");
        let next = catalogue.lease_pages(job.source, 10, u64::MAX).expect("leased").expect("a job");
        assert_eq!(next.pages, [PageLink { url: "http://a/b".into(), depth: 1 }]);
    }

    #[test]
    fn deltas_add_up_over_jobs() {
        let (_dir, catalogue, job) = leased();
        catalogue.commit(&job, &result()).expect("committed");
        let next = catalogue.next_job(job.source, JobKind::Fetch).expect("leased").expect("a job");
        catalogue.commit(&next, &result()).expect("committed");
        assert_eq!(catalogue.counters().expect("read"), [(4, 6), (9, 2)]);
        assert_eq!(catalogue.hosts().expect("read")[0].bytes, 1800);
        assert_eq!(catalogue.outcomes().expect("read")[0], ("ok".into(), 6));
        assert_eq!(catalogue.committed_segments().expect("read"), [job.id, next.id]);
        assert!(catalogue.newest_job().expect("read") >= next.id);
    }

    #[test]
    fn what_is_taken_up_again_is_counted_back() {
        let (_dir, catalogue, job) = leased();
        catalogue.commit(&job, &result()).expect("committed");
        let next = catalogue.next_job(job.source, JobKind::Fetch).expect("leased").expect("a job");
        let taken_up = Some(shards::TakenUp { segment: job.id, outcomes: vec![("ok".into(), 2)] });
        catalogue.commit(&next, &Commit { taken_up, ..Commit::default() }).expect("committed");
        assert_eq!(catalogue.segments_held().expect("read")[0].candidates, 3);
        assert!(catalogue.outcomes().expect("read").contains(&("ok".to_string(), 1)));
    }

    #[test]
    fn a_second_commit_is_refused_and_adds_nothing() {
        let (_dir, catalogue, job) = leased();
        catalogue.commit(&job, &result()).expect("committed");
        let error = catalogue.commit(&job, &result()).expect_err("refused").to_string();
        assert!(error.starts_with("job 1 in catalogue") && error.contains("is done, not leased"), "{error}");
        assert_eq!(catalogue.counters().expect("read"), [(4, 3), (9, 1)]);
        let stranger = Job { id: 77, ..job };
        assert!(matches!(catalogue.commit(&stranger, &result()), Err(Error::NotLeased { job: 77, state, .. }) if state == "unknown"));
    }

    #[test]
    fn an_open_job_is_not_committed() {
        let (_dir, catalogue, job) = leased();
        catalogue.reopen().expect("begun again");
        assert!(matches!(catalogue.commit(&job, &result()), Err(Error::NotLeased { state, .. }) if state == "open"));
    }

    #[test]
    fn a_failure_in_the_middle_leaves_all_as_it_was() {
        let (dir, catalogue, job) = leased();
        let before = (catalogue.status().expect("read"), catalogue.counters().expect("read"));
        // The last thing a commit writes is refused, after everything else was written.
        let saboteur = rusqlite::Connection::open(dir.path().join("catalog.sqlite")).expect("opened");
        let trap = "create trigger trap before update on sources begin select raise(abort, 'trapped'); end";
        saboteur.execute_batch(trap).expect("set");
        let error = catalogue.commit(&job, &result()).expect_err("refused");
        assert!(std::error::Error::source(&error).expect("a cause").to_string().contains("trapped"));
        assert_eq!((catalogue.status().expect("read"), catalogue.counters().expect("read")), before);
        saboteur.execute_batch("drop trigger trap").expect("removed");
        catalogue.commit(&job, &result()).expect("committed now");
        assert_eq!(catalogue.counters().expect("read"), [(4, 3), (9, 1)]);
    }

    #[test]
    fn a_process_killed_in_a_commit_leaves_nothing_of_it() {
        let (dir, catalogue, job) = leased();
        let path = dir.path().join("catalog.sqlite");
        let before = catalogue.status().expect("read");
        // What a killed process leaves: the files as they lie while its transaction is open, large enough to have spilled.
        let copy = dir.path().join("killed");
        std::fs::create_dir(&copy).expect("made");
        let many: Vec<(u32, u64)> = (0..200_000).map(|id| (id, 1)).collect();
        let spilled = catalogue.write("write much", |transaction| {
            transaction.execute_batch("pragma cache_size = 10")?;
            record(transaction, &job, &Commit { counters: many, ..result() })?;
            for name in ["catalog.sqlite", "catalog.sqlite-wal"] {
                std::fs::copy(path.with_file_name(name), copy.join(name)).expect("copied");
            }
            Err::<(), _>(rusqlite::Error::QueryReturnedNoRows)
        });
        spilled.expect_err("rolled back");
        assert!(std::fs::metadata(copy.join("catalog.sqlite-wal")).expect("there").len() > 1 << 20);
        let revived = Catalogue::open(&copy.join("catalog.sqlite")).expect("opened");
        assert_eq!(revived.status().expect("read"), before);
        assert!(revived.counters().expect("read").is_empty());
    }
}
