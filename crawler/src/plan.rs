//! Plan jobs: a stretch of a URL list becomes a file of candidates, matched and counted before anything is fetched.
//!
//! So the counts of the cap are final when the first image of a list is asked for, and exactly the inside set is fetched.

use crate::Error;
use crate::engine::Engine;
use crate::layout::{FetchPayload, payload, read_payload};
use crate::segment::{PLAN, write_plan};
use crate::summary::Tally;
use crate::urls::{Row, Stretch, read};
use shards::{Commit, Job, JobKind, NewJob, canonical_url};
use std::sync::Arc;

/// Runs a `Plan` job; may block for as long as reading and matching 10,000 rows takes.
///
/// # Errors
/// `List` when the list cannot be read, `Contact` for a public host without one, `Files` and `Ledger`.
pub(crate) fn run(engine: &Arc<Engine>, job: &Job) -> Result<Tally, Error> {
    let stretch: Stretch = read_payload(job)?;
    let mut tally = Tally::default();
    let mut candidates = Vec::with_capacity(stretch.rows as usize);
    for row in read(&stretch)? {
        match row {
            Row::Bad(why) => tally.count(format!("row:{why}")),
            Row::Pair(url, caption) => {
                engine.fetcher.require_contact(&url)?;
                match engine.claim(&canonical_url(&url), "", caption, "column", &mut tally) {
                    Some(candidate) => candidates.push(candidate),
                    None => tally.count("row:duplicate_url"),
                }
            }
        }
    }
    let mut jobs = Vec::new();
    if !candidates.is_empty() {
        let source = job.source.to_string();
        write_plan(&engine.layout, job.id, PLAN, &[("source", &source)], candidates)?;
        jobs.push(NewJob { kind: JobKind::Fetch, payload: payload(&FetchPayload { plan: job.id })? });
    }
    let commit = Commit { jobs, ..tally.commit() };
    engine.ledger.commit(job, &commit).map_err(Error::ledger("commit a job"))?;
    engine.meter.add(stretch.rows);
    Ok(tally)
}
