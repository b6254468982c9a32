//! Deciding anew what was decided: failures that another day may heal, and pairs that a larger cap lets in.
//!
//! Each finished segment gives one plan job. It moves the rows in question from the segment's candidates file to a plan file, from
//! which they are fetched like any others; a pair's row stands in one candidates file at any time (pages go back to the frontier
//! instead: `sources`). The plan file is written first,
//! then one transaction records the fetch job and takes the rows' counts back, then the candidates file is written without them. A
//! crash before the last step is mended at the next start by [`finish_moves`], before anything is fetched.

use crate::Error;
use crate::engine::Engine;
use crate::layout::{FetchPayload, Layout, payload, read_payload};
use crate::seen::tables;
use crate::segment::{PLAN, write_plan};
use crate::summary::Tally;
use crate::{CrawlOptions, Ledger};
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use shards::{Candidate, Commit, Job, JobKind, NewJob, PairId, TableReader, TableWriter, TakenUp, outcome};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

/// The kind of a replay's source; its location is the outcomes.
const KIND: &str = "replay";
/// The note of a plan file that names the segment whose rows it holds.
const TAKEN_FROM: &str = "taken-from";

/// Input of a plan job of a replay.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayPayload {
    segment: u64,
    outcomes: Vec<String>,
}

/// A replay with work to do: its source and its plan jobs, leased.
pub(crate) struct Replay {
    pub(crate) id: u64,
    pub(crate) plans: VecDeque<Job>,
}

/// Records the replay that the options ask for, and finds those that were not finished.
///
/// # Errors
/// `Ledger` when the catalogue refuses.
pub(crate) fn open(options: &CrawlOptions, ledger: &dyn Ledger) -> Result<Vec<Replay>, Error> {
    let left = |id: u64| ledger.jobs_left(id).map_err(Error::ledger("count jobs"));
    if !options.retry.is_empty() {
        let mut outcomes = options.retry.clone();
        outcomes.sort_unstable();
        outcomes.dedup();
        let (id, _) = ledger.source(KIND, &outcomes.join(",")).map_err(Error::ledger("open a source"))?;
        // One that was cut off goes on first; what it has decided anew is not asked for twice in a run.
        if left(id)? == 0 {
            let segments = ledger.committed_segments().map_err(Error::ledger("list segments"))?;
            let job = |segment| {
                let input = ReplayPayload { segment, outcomes: outcomes.clone() };
                Ok(NewJob { kind: JobKind::Plan, payload: payload(&input)? })
            };
            let jobs: Result<Vec<NewJob>, Error> = segments.into_iter().map(job).collect();
            ledger.add_jobs(id, &jobs?, "planning").map_err(Error::ledger("record jobs"))?;
        }
    }
    let mut replays = Vec::new();
    for (id, _) in ledger.sources_of(KIND).map_err(Error::ledger("list sources"))? {
        if left(id)? == 0 {
            continue;
        }
        let mut plans = VecDeque::new();
        while let Some(job) = ledger.next_job(id, JobKind::Plan).map_err(Error::ledger("lease a job"))? {
            plans.push_back(job);
        }
        replays.push(Replay { id, plans });
    }
    Ok(replays)
}

/// Whether a plan job belongs to a replay.
pub(crate) fn is_replay(job: &Job) -> bool {
    read_payload::<ReplayPayload>(job).is_ok()
}

/// Runs a plan job of a replay.
///
/// # Errors
/// `Files` when the segment cannot be read or written, `Ledger` when the catalogue refuses.
pub(crate) fn run(engine: &Arc<Engine>, job: &Job) -> Result<Tally, Error> {
    let ReplayPayload { segment, outcomes } = read_payload(job)?;
    let path = engine.layout.candidates(segment);
    let (mut taken, kept): (Vec<Candidate>, Vec<Candidate>) =
        TableReader::<Candidate>::read_all(&path)?.into_iter().partition(|row| is_wanted(engine, row, &outcomes));
    let mut commit = Commit::default();
    if !taken.is_empty() {
        let mut counts = BTreeMap::<String, u64>::new();
        for row in &mut taken {
            *counts.entry(std::mem::take(&mut row.outcome)).or_default() += 1;
            row.detail.clear();
        }
        commit.taken_up = Some(TakenUp { segment, outcomes: counts.into_iter().collect() });
        commit.jobs.push(NewJob { kind: JobKind::Fetch, payload: payload(&FetchPayload { plan: job.id })? });
        let (source, from) = (job.source.to_string(), segment.to_string());
        write_plan(&engine.layout, job.id, PLAN, &[("source", &source), (TAKEN_FROM, &from)], taken)?;
    }
    engine.ledger.commit(job, &commit).map_err(Error::ledger("commit a job"))?;
    if commit.taken_up.is_some() {
        rewrite(&path, kept)?;
    }
    Ok(Tally::default())
}

/// Whether a row is to be decided anew.
fn is_wanted(engine: &Engine, row: &Candidate, outcomes: &[String]) -> bool {
    // The bytes of pictures in pages are gone, and what a page's owner refused stays refused.
    let gone = row.image_url.starts_with("data:") || (row.outcome == outcome::OPTED_OUT && row.detail.starts_with("page: "));
    !gone && outcomes.contains(&row.outcome) && (row.outcome != outcome::FULL || engine.is_inside(row))
}

/// Writes a candidates file anew, with the notes that it has.
fn rewrite(path: &Path, rows: Vec<Candidate>) -> Result<(), Error> {
    let old = TableReader::<Candidate>::open(path)?;
    let notes: Vec<(&str, &str)> = ["source", "plan"].into_iter().filter_map(|key| Some((key, old.note(key)?))).collect();
    TableWriter::write_all(path, &notes, rows)?;
    Ok(())
}

/// The pairs that were moved to a plan file out of a segment of a corpus, while their old rows may still lie in its candidates file: the
/// next crawl takes those out.
///
/// # Errors
/// `Files` when a plan file cannot be read.
pub fn moved_from(corpus: &Path, segment: u64) -> Result<HashSet<PairId>, Error> {
    let mut moved = HashSet::new();
    for path in tables(&corpus.join("plans"))? {
        let plan = TableReader::<Candidate>::open(&path)?;
        if plan.note(TAKEN_FROM) == Some(segment.to_string().as_str()) {
            for batch in plan {
                moved.extend(batch?.iter().map(|row| row.pair_id));
            }
        }
    }
    Ok(moved)
}

/// Takes rows that were moved to a plan file out of their old place, where a crash came between the two.
///
/// # Errors
/// `Files` when a file cannot be read or written.
pub(crate) fn finish_moves(layout: &Layout) -> Result<(), Error> {
    for path in tables(&layout.folder("plans"))? {
        let plan = TableReader::<Candidate>::open(&path)?;
        let Some(segment) = plan.note(TAKEN_FROM).and_then(|from| from.parse::<u64>().ok()) else { continue };
        let moved: Result<FxHashSet<PairId>, shards::Error> = plan
            .flat_map(|batch| batch.map_or_else(|error| vec![Err(error)], |rows| rows.into_iter().map(|row| Ok(row.pair_id)).collect()))
            .collect();
        let (moved, old) = (moved?, layout.candidates(segment));
        let rows = TableReader::<Candidate>::read_all(&old)?;
        if rows.iter().any(|row| moved.contains(&row.pair_id)) {
            rewrite(&old, rows.into_iter().filter(|row| !moved.contains(&row.pair_id)).collect())?;
        }
    }
    Ok(())
}
