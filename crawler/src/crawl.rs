//! The run: opens the corpus, records the sources' work, and keeps jobs going until none is left.

use crate::engine::{Engine, lock};
use crate::layout::Layout;
use crate::place::Places;
use crate::replay::is_replay;
use crate::search::{self, Lookup};
use crate::seen::{Seen, tables};
use crate::segment::sweep;
use crate::sources::{self, DONE, FETCHING, Kind, Lane, Sources};
use crate::summary::{RowCounts, Tally, UNREADABLE};
use crate::{CrawlOptions, CrawlSummary, DRAIN, Error, Ledger, Matcher, Source, images, listed, metrics, pages, plan, replay};
use rustc_hash::{FxHashMap, FxHashSet};
use shards::{Candidate, Job, JobKind, Meter, TableReader};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Fills the corpus folder from the sources: does what is left of their recorded work, records new work, and returns
/// when nothing is left or the limit is reached. Dropped or killed at any moment, at most the jobs in work are done again.
///
/// Without a matcher every captioned pair is taken.
///
/// # Errors
/// `Usage` and `Contact` for options that cannot be followed, `List` for an unreadable URL list, `InUse` when another
/// crawl has the corpus, `Files` on a full disk, `Ledger` when the catalogue refuses, `Unanswered` when services failed and nothing
/// else was had.
pub async fn crawl(
    options: CrawlOptions,
    ledger: Arc<dyn Ledger>,
    matcher: Option<Arc<dyn Matcher>>,
    meter: Arc<Meter>,
) -> Result<CrawlSummary, Error> {
    options.check()?;
    options.check_contact()?;
    let layout = Layout::new(&options.corpus);
    let lock = lock(&layout).await?;
    meter.say("reading the corpus");
    let opened = {
        let (options, meter) = (options.clone(), meter.clone());
        tokio::task::spawn_blocking(move || {
            let places = Arc::new(Places::new(&options)?);
            let sources = sources::open(&options, &places, ledger.as_ref(), matcher.as_deref())?;
            let committed: FxHashSet<u64> = ledger.committed_segments().map_err(Error::ledger("list segments"))?.into_iter().collect();
            let open_plans = sources.lanes.iter().flat_map(|lane| &lane.plans).map(|job| job.id).collect();
            let newest = ledger.newest_job().map_err(Error::ledger("find the newest job"))?;
            sweep(&layout, newest, &committed, &open_plans)?;
            replay::finish_moves(&layout)?;
            let seen = Seen::load(&layout)?;
            let engine = Engine::new(options, ledger, matcher, meter, places, seen, lock)?;
            Ok::<_, Error>((Arc::new(engine), sources))
        })
    };
    let (engine, Sources { mut lanes, unreadable }) = opened.await??;
    for lane in &lanes {
        if let Kind::Search(lookup) = &lane.kind {
            lookup.keep_pace(&engine.fetcher);
        }
    }
    let _watch = watch_for_stop(&engine);
    if let Some(address) = engine.options.metrics {
        metrics::serve(address, &engine).await?;
    }
    let mut summary = CrawlSummary::default();
    if unreadable > 0 {
        summary.outcomes.insert(UNREADABLE.to_string(), unreadable);
    }
    plan_all(&engine, &mut lanes, &mut summary).await?;
    fetch_all(&engine, lanes, &mut summary).await?;
    summary.stopped = engine.options.stop.is_cancelled();
    meter.say(summary.to_string());
    let nothing = summary.candidates == 0 && !summary.outcomes.contains_key("page:ok");
    if nothing && !summary.stopped && !summary.complaints.is_empty() {
        return Err(Error::Unanswered(summary.complaints.join("; ")));
    }
    Ok(summary)
}

/// Lets go of what is in flight some time after the crawl was told to stop; ends when dropped.
fn watch_for_stop(engine: &Arc<Engine>) -> JoinSet<()> {
    let (stop, drain, places) = (engine.options.stop.clone(), engine.fetcher.drain(), engine.places.clone());
    let mut watch = JoinSet::new();
    watch.spawn(async move {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
        drain.cancel();
        places.give_up();
    });
    watch
}

/// The source of a plan job that is done, what it counted, and the job that follows from it.
type Planned = (u64, Tally, Option<Job>);

/// Does the plan jobs of all lists, so that the counters are final before the first fetch.
async fn plan_all(engine: &Arc<Engine>, lanes: &mut [Lane], summary: &mut CrawlSummary) -> Result<(), Error> {
    let mut jobs: VecDeque<Job> = lanes.iter_mut().flat_map(|lane| lane.plans.drain(..)).collect();
    let mut sources: Vec<u64> = jobs.iter().map(|job| job.source).collect();
    sources.dedup();
    if !jobs.is_empty() {
        engine.meter.say("planning");
        // How many pairs an archive holds shows only when it is read.
        let known = !engine.options.sources.iter().any(|source| matches!(source, Source::Archive { .. }));
        engine.meter.set_total(if known { jobs.len() as u64 * engine.options.sizes.candidates as u64 } else { 0 });
    }
    let mut tasks: JoinSet<Result<Planned, Error>> = JoinSet::new();
    let mut rows: FxHashMap<u64, RowCounts> = FxHashMap::default();
    let mut left = false;
    loop {
        while tasks.len() < engine.options.jobs
            && !engine.options.stop.is_cancelled()
            && let Some(job) = jobs.pop_front()
        {
            let engine = engine.clone();
            let work = move |engine: &Arc<Engine>| {
                if is_replay(&job) {
                    return Ok((job.source, replay::run(engine, &job)?, None));
                }
                let tally = plan::run(engine, &job)?;
                // What is left of an archive is a job of its own now.
                Ok((job.source, tally, engine.ledger.next_job(job.source, JobKind::Plan).map_err(Error::ledger("lease a job"))?))
            };
            tasks.spawn(async move { engine.blocking(work).await });
        }
        match tasks.join_next().await {
            Some(done) => {
                let (source, tally, next) = match done.map_err(Error::from).flatten() {
                    Ok(done) => done,
                    // Stopped: the job is done again by the next crawl.
                    Err(_) if engine.places.has_given_up() => {
                        left = true;
                        continue;
                    }
                    Err(error) => return Err(end_early(engine, tasks, error).await),
                };
                rows.entry(source).or_default().add(&tally);
                summary.add(tally);
                jobs.extend(next);
            }
            None => break,
        }
    }
    if left || !jobs.is_empty() {
        // Stopped: sources whose counts are not final are not fetched from.
        return Ok(());
    }
    summary.say_unusable(lanes.iter().map(|lane| (lane.list.as_deref(), rows.get(&lane.id))));
    let change = move |engine: &Arc<Engine>| {
        // Their rows are planned; one that is asked for again is unpacked again.
        let _ = std::fs::remove_dir_all(listed::unpacked(&engine.options));
        sources.iter().try_for_each(|source| engine.ledger.set_source_state(*source, FETCHING)).map_err(Error::ledger("change a source"))
    };
    engine.blocking(change).await
}

/// Waits for the tasks that are left when one has failed: they block, and would be left in a runtime that ends.
async fn end_early<T: 'static>(engine: &Engine, mut tasks: JoinSet<T>, error: Error) -> Error {
    engine.places.give_up();
    while tasks.join_next().await.is_some() {}
    error
}

/// Does `Fetch` and `Pages` jobs until there are none.
async fn fetch_all(engine: &Arc<Engine>, mut lanes: Vec<Lane>, summary: &mut CrawlSummary) -> Result<(), Error> {
    let sources: FxHashSet<u64> = lanes.iter().map(|lane| lane.id).collect();
    engine.meter.set(0);
    let total = engine.blocking(move |engine| expected(engine, &sources)).await?;
    engine.meter.set_total(total);
    let mut tasks: JoinSet<(usize, u64, Result<Tally, Error>)> = JoinSet::new();
    let mut turn = 0;
    loop {
        while tasks.len() < engine.options.jobs && !engine.options.stop.is_cancelled() {
            let next = move |engine: &Arc<Engine>| Ok(next_job(engine, &mut lanes, turn).map(|next| (lanes, next)));
            let (back, next) = engine.blocking(next).await??;
            lanes = back;
            let Some((lane, job)) = next else { break };
            turn = lane + 1;
            let (engine, kind, leased) = (engine.clone(), lanes[lane].kind.clone(), job.pages.len() as u64);
            lanes[lane].pages += leased;
            tasks.spawn(async move {
                let result = match kind {
                    Kind::Web(site) if job.kind == JobKind::Pages => pages::run(engine, job, site).await,
                    Kind::Search(lookup) if job.kind == JobKind::Pages => search::run(engine, job, lookup).await,
                    _ => images::run(engine, job).await,
                };
                (lane, leased, result)
            });
        }
        let Some(done) = tasks.join_next().await else { break };
        let (lane, leased, tally) = done?;
        lanes[lane].pages -= leased;
        summary.add(tally?);
    }
    let (complaints, held) = engine.blocking(move |engine| close(engine, &lanes)).await?;
    (summary.complaints, summary.held) = (complaints, held);
    Ok(())
}

/// Units of the meter that are known beforehand: planned candidates, and pages up to the limit; 0 when a site has none.
fn expected(engine: &Arc<Engine>, sources: &FxHashSet<u64>) -> Result<u64, Error> {
    let mut total = 0;
    for path in tables(&engine.layout.folder("plans"))? {
        let table = TableReader::<Candidate>::open(&path)?;
        let source = table.note("source").and_then(|source| source.parse().ok());
        total += if source.is_some_and(|source| sources.contains(&source)) { table.row_count() } else { 0 };
    }
    let sites = engine.options.sources.iter().filter(|source| matches!(source, Source::Web(_) | Source::Search { .. })).count() as u64;
    Ok(match engine.options.limit {
        _ if sites == 0 => total,
        Some(limit) => total + sites * limit,
        None => 0,
    })
}

/// Leases the next job: sources take turns, beginning with the `turn`th.
fn next_job(engine: &Arc<Engine>, lanes: &mut [Lane], turn: usize) -> Result<Option<(usize, Job)>, Error> {
    for at in 0..lanes.len() {
        let at = (turn + at) % lanes.len();
        if let Some(job) = job_of(engine, &lanes[at])? {
            return Ok(Some((at, job)));
        }
    }
    Ok(None)
}

/// Leases the next job of a source: what is left of earlier jobs before new pages.
fn job_of(engine: &Arc<Engine>, lane: &Lane) -> Result<Option<Job>, Error> {
    let (ledger, options) = (&engine.ledger, &engine.options);
    let left = |kind: JobKind| ledger.next_job(lane.id, kind).map_err(Error::ledger("lease a job"));
    if let Some(job) = left(JobKind::Fetch)? {
        return Ok(Some(job));
    }
    let (most, per_host) = match &lane.kind {
        Kind::Finite => return Ok(None),
        Kind::Search(lookup) if lookup.has_ended() => return Ok(None),
        Kind::Search(_) => (options.sizes.pages.min(search::REQUESTS), u64::MAX),
        Kind::Web(_) => (options.sizes.pages, if options.host_pages == 0 { u64::MAX } else { options.host_pages }),
    };
    if let Some(job) = left(JobKind::Pages)? {
        return Ok(Some(job));
    }
    let room = match options.limit {
        Some(limit) => limit.saturating_sub(ledger.pages_done(lane.id).map_err(Error::ledger("count pages"))? + lane.pages),
        None => u64::MAX,
    };
    let limit = room.min(most as u64) as usize;
    if limit == 0 {
        return Ok(None);
    }
    if let Kind::Search(lookup) = &lane.kind {
        order(engine, lane.id, limit, lookup)?;
    }
    ledger.lease_pages(lane.id, limit, per_host).map_err(Error::ledger("lease pages"))
}

/// Brings the order of a service's requests up to date.
fn order(engine: &Arc<Engine>, source: u64, limit: usize, lookup: &Lookup) -> Result<(), Error> {
    engine.ledger.rank_pages(source, limit, &|url| lookup.rank(engine, url)).map_err(Error::ledger("order requests"))
}

/// Marks sources without work as done. Gives what is to be said of services that failed, and the number of pages that wait because their
/// hosts have given as many as they may.
fn close(engine: &Arc<Engine>, lanes: &[Lane]) -> Result<(Vec<String>, u64), Error> {
    let (mut complaints, mut held) = (Vec::new(), 0);
    let runs_out = engine.options.limit.is_none() && !engine.options.stop.is_cancelled();
    for lane in lanes {
        let left = engine.ledger.jobs_left(lane.id).map_err(Error::ledger("count jobs"))?;
        match &lane.kind {
            _ if left == 0 => engine.ledger.set_source_state(lane.id, DONE).map_err(Error::ledger("change a source"))?,
            Kind::Search(lookup) => {
                // What failed last comes last in the next run.
                order(engine, lane.id, search::REQUESTS, lookup)?;
                complaints.extend(lookup.complaint(left));
            }
            Kind::Web(_) if runs_out => held += left,
            Kind::Web(_) | Kind::Finite => {}
        }
    }
    Ok((complaints, held))
}
