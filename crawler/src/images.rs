//! The image half of a job: decides which candidates are inside the cap, fetches each image once, and stores it.

use crate::Error;
use crate::engine::{Engine, settle};
use crate::fetch::{Refusal, Traffic, Want};
use crate::ingest::{Ingested, Recipe, ingest, on_pool};
use crate::layout::{FetchPayload, payload, read_payload};
use crate::promise;
use crate::segment::{Finish, SegmentSender, SegmentWriter};
use crate::summary::Tally;
use rustc_hash::FxHashMap;
use shards::{Candidate, Commit, Job, JobKind, Meter, NewJob, Removed, TableReader, outcome};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Candidates after a job: each in one of the two.
#[derive(Default)]
pub(crate) struct Decided {
    /// With an outcome.
    pub(crate) done: Vec<Candidate>,
    /// Not begun before the job closed.
    pub(crate) rest: Vec<Candidate>,
}

/// Decides `candidates`, those with an outcome already being only passed on, and hands the images to the writer. After
/// `deadline`, or when the segment is large enough, no more fetch is begun; at least one is, so that every job gets ahead. `meter` counts
/// those decided.
pub(crate) async fn decide_all(
    engine: &Arc<Engine>,
    candidates: Vec<Candidate>,
    sender: &SegmentSender,
    deadline: Instant,
    meter: Option<&Meter>,
    tally: &mut Tally,
) -> Result<Decided, Error> {
    let count = |pairs: &[Candidate]| {
        engine.metrics.count_pairs(pairs);
        meter.into_iter().for_each(|meter| meter.add(pairs.len() as u64));
    };
    let mut decided = Decided::default();
    let mut by_image: FxHashMap<String, Vec<Candidate>> = FxHashMap::default();
    let removed = engine.removed()?;
    for mut candidate in candidates {
        // Of what was fetched with its page the picture is stored already; `store` has asked for it.
        if candidate.outcome != outcome::OK && removed.candidate(&candidate).is_some() {
            candidate.take_down();
        }
        if candidate.outcome.is_empty() && !engine.is_inside(&candidate) {
            settle(&mut candidate, outcome::FULL, "outside the cap");
        }
        if candidate.outcome.is_empty() {
            by_image.entry(candidate.image_url.clone()).or_default().push(candidate);
        } else {
            decided.done.push(candidate);
        }
    }
    count(&decided.done);
    let closing = engine.options.stop.child_token();
    let mut tasks = JoinSet::new();
    for (url, pairs) in by_image {
        tasks.spawn(fetch(engine.clone(), url, pairs, sender.clone(), closing.clone()));
    }
    let mut any = false;
    loop {
        let taken = tokio::select! {
            taken = tasks.join_next() => taken,
            () = tokio::time::sleep_until(deadline), if any && !closing.is_cancelled() => {
                closing.cancel();
                continue;
            }
        };
        let Some(taken) = taken.transpose()? else { break };
        tally.learn(taken.traffic);
        if taken.pairs.iter().all(|pair| pair.outcome.is_empty()) {
            decided.rest.extend(taken.pairs);
        } else {
            any = true;
            count(&taken.pairs);
            decided.done.extend(taken.pairs);
        }
        if sender.size() >= engine.options.sizes.bytes {
            closing.cancel();
        }
    }
    Ok(decided)
}

/// The pairs of one image after its fetch; without outcomes when it was not begun.
struct Taken {
    pairs: Vec<Candidate>,
    traffic: Traffic,
}

async fn fetch(engine: Arc<Engine>, url: String, mut pairs: Vec<Candidate>, sender: SegmentSender, closing: CancellationToken) -> Taken {
    let Ok(url) = Url::parse(&url) else {
        pairs.iter_mut().for_each(|pair| settle(pair, outcome::UNSAFE_ADDRESS, "not a web address"));
        return Taken { pairs, traffic: Traffic::new() };
    };
    let reply = engine.fetcher.get(&url, Want::Image, &closing).await;
    match reply.result {
        Err(Refusal::Closed) => return Taken { pairs, traffic: reply.traffic },
        Err(refusal) => {
            let (outcome, detail) = refusal.decision();
            pairs.iter_mut().for_each(|pair| settle(pair, outcome, &detail));
        }
        Ok(mut body) => {
            // The body's places among the fetches in flight are kept until the image is handed on.
            let bytes = std::mem::take(&mut body.bytes);
            let (bytes, broken) = check_promises(&engine, bytes, &mut pairs).await;
            if !pairs.is_empty() && !store(&engine, bytes, &mut pairs, &sender).await {
                closing.cancel();
            }
            pairs.extend(broken);
        }
    }
    pairs.iter_mut().for_each(|pair| pair.attempts += reply.attempts);
    engine.note(0, reply.traffic.values().map(|delta| delta.bytes).sum());
    Taken { pairs, traffic: reply.traffic }
}

/// Takes those out of `pairs` whose list promises other bytes, and settles them.
async fn check_promises(engine: &Engine, bytes: Vec<u8>, pairs: &mut Vec<Candidate>) -> (Vec<u8>, Vec<Candidate>) {
    let Some(column) = engine.options.verify_hash.clone() else { return (bytes, Vec::new()) };
    let extras: Vec<Option<String>> = pairs.iter().map(|pair| pair.source.starts_with("urls:").then(|| pair.extra.clone())).collect();
    let hashed = on_pool(move || {
        let whys: Vec<_> = extras.iter().map(|extra| promise::broken(&bytes, extra.as_ref()?, &column)).collect();
        (bytes, whys)
    });
    let (bytes, whys) = hashed.await.unwrap_or_else(|| (Vec::new(), vec![Some("hashing failed".to_string()); pairs.len()]));
    let mut broken = Vec::new();
    for (mut pair, why) in std::mem::take(pairs).into_iter().zip(whys) {
        match why {
            None => pairs.push(pair),
            Some(why) => {
                settle(&mut pair, outcome::CHANGED, &why);
                broken.push(pair);
            }
        }
    }
    (bytes, broken)
}

/// Stores an image for all its pairs and settles them; `false` when the writer has failed.
pub(crate) async fn store(engine: &Arc<Engine>, bytes: Vec<u8>, pairs: &mut [Candidate], sender: &SegmentSender) -> bool {
    let recipe = Recipe::of(&engine.options);
    match on_pool(move || ingest(&bytes, &recipe)).await {
        Some(Ok(image)) if is_removed(engine, &image) => pairs.iter_mut().for_each(Candidate::take_down),
        Some(Ok(image)) => {
            pairs.iter_mut().for_each(|pair| settle(pair, outcome::OK, ""));
            engine.note(pairs.len() as u64, 0);
            return sender.send(pairs.to_vec(), image).await;
        }
        Some(Err(spoilt)) => pairs.iter_mut().for_each(|pair| settle(pair, spoilt.outcome, &spoilt.why)),
        None => pairs.iter_mut().for_each(|pair| settle(pair, outcome::DECODE, "the decoder failed")),
    }
    true
}

/// Whether the picture was taken down, wherever it comes from. When that cannot be read, it is better left out.
fn is_removed(engine: &Engine, image: &Ingested) -> bool {
    let is_free = |removed: Arc<Removed>| removed.image(&image.image_id).is_none() && removed.pixels(&image.measures.pixel_hash).is_none();
    !engine.removed().is_ok_and(is_free)
}

/// Runs a `Fetch` job: the candidates of a plan file.
///
/// # Errors
/// `Files` when the corpus cannot be read or written, `Ledger`, and `Contact` for a public host without one.
pub(crate) async fn run(engine: Arc<Engine>, job: Job) -> Result<Tally, Error> {
    let deadline = Instant::now() + engine.options.sizes.time;
    let FetchPayload { plan } = read_payload(&job)?;
    let path = engine.layout.plan(plan);
    let candidates = engine.blocking(move |engine| {
        let candidates = TableReader::<Candidate>::read_all(&path)?;
        // Asked again here: the run that planned them may have had a contact.
        let planned = |candidate: &&Candidate| candidate.outcome.is_empty() && !candidate.source.starts_with("web:");
        let mut addresses = candidates.iter().filter(planned);
        addresses.try_for_each(|candidate| Url::parse(&candidate.image_url).map_or(Ok(()), |url| engine.fetcher.require_contact(&url)))?;
        Ok(candidates)
    });
    let candidates = candidates.await?;
    let mut tally = Tally::default();
    let writer = SegmentWriter::start(engine.layout.clone(), job.id, engine.clone());
    let decided = decide_all(&engine, candidates, &writer.sender(), deadline, Some(&engine.meter), &mut tally).await?;
    let mut tally = finish(&engine, job, writer, decided, Commit::default(), Some(plan), tally).await?;
    tally.pages = 0;
    let consumed = engine.layout.plan(plan);
    // Its pairs are in `candidates/` now; left behind by a crash here, it is swept at the next start.
    engine.blocking(move |_| Ok(std::fs::remove_file(&consumed).map_err(shards::Error::io("remove", &consumed))?)).await?;
    Ok(tally)
}

/// Writes a job's segment and commits it: counts of `tally`, what `more` adds, and a job for what is left.
pub(crate) async fn finish(
    engine: &Arc<Engine>,
    job: Job,
    writer: SegmentWriter,
    decided: Decided,
    more: Commit,
    plan: Option<u64>,
    mut tally: Tally,
) -> Result<Tally, Error> {
    engine.metrics.count_others(&tally);
    tally.count_all(&decided.done);
    let mut commit = Commit { pages: more.pages, visited: more.visited, waiting: more.waiting, jobs: more.jobs, ..tally.commit() };
    if !decided.rest.is_empty() {
        commit.jobs.push(NewJob { kind: JobKind::Fetch, payload: payload(&FetchPayload { plan: job.id })? });
    }
    let mut notes = vec![("source", job.source.to_string())];
    notes.extend(plan.map(|plan| ("plan", plan.to_string())));
    let ledger = engine.ledger.clone();
    let step = move |totals: &shards::SegmentTotals| {
        commit.segment = Some(totals.clone());
        ledger.commit(&job, &commit).map_err(Error::ledger("commit a job"))
    };
    tally.totals = writer.finish(Finish { candidates: decided.done, notes, rest: decided.rest, commit: Box::new(step) }).await?;
    Ok(tally)
}
