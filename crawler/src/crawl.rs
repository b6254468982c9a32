//! The run: opens the corpus, records the sources' work, and keeps jobs going until none is left.

use crate::columns::Asked;
use crate::engine::{Engine, lock};
use crate::guard::is_private_host;
use crate::layout::{Layout, payload};
use crate::listed::{self, PLANNING, lease_plans};
use crate::pages::Site;
use crate::place::{Place, Places};
use crate::replay::is_replay;
use crate::search::{self, Search};
use crate::seen::{Seen, tables};
use crate::segment::sweep;
use crate::summary::{RowCounts, Tally, UNREADABLE};
use crate::{
    ArchiveKind, CrawlOptions, CrawlSummary, DRAIN, Error, Ledger, Matcher, Service, Source, archives, images, metrics, pages, plan, replay,
};
use rustc_hash::{FxHashMap, FxHashSet};
use shards::{Candidate, Job, JobKind, Meter, NewJob, PageLink, TableReader, canonical_url};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinSet;
use url::Url;

/// States of a source, besides `new` and `planning`.
const FETCHING: &str = "fetching";
const CRAWLING: &str = "crawling";
const DONE: &str = "done";

/// How a source's pages are fetched.
#[derive(Clone)]
enum Kind {
    /// It has none: its pairs are planned.
    Finite,
    /// Pages of a site.
    Web(Site),
    /// Requests to a service.
    Search(Service, Arc<dyn Search>),
}

/// A source in work.
struct Lane {
    id: u64,
    kind: Kind,
    /// Plan jobs that are still to be done.
    plans: VecDeque<Job>,
    /// Pages leased to jobs in work.
    pages: u64,
    /// The list that it reads, if it is one.
    list: Option<PathBuf>,
}

/// What was found where sources were opened.
#[derive(Default)]
struct Sources {
    lanes: Vec<Lane>,
    /// Lists that cannot be read.
    unreadable: u64,
}

/// Fills the corpus folder from the sources: does what is left of their recorded work, records new work, and returns
/// when nothing is left or the limit is reached. Dropped or killed at any moment, at most the jobs in work are done again.
///
/// Without a matcher every captioned pair is taken.
///
/// # Errors
/// `Usage` and `Contact` for options that cannot be followed, `List` for an unreadable URL list, `InUse` when another
/// crawl has the corpus, `Files` on a full disk, `Ledger` when the catalogue refuses.
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
            let mut sources = open_sources(&options, &places, ledger.as_ref(), matcher.as_deref())?;
            let replays = replay::open(&options, ledger.as_ref())?;
            let lane = |replay: replay::Replay| Lane { id: replay.id, kind: Kind::Finite, plans: replay.plans, pages: 0, list: None };
            sources.lanes.extend(replays.into_iter().map(lane));
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
    for source in &engine.options.sources {
        if let Source::Search { service, endpoint } = source
            && !is_private_host(endpoint)
        {
            engine.fetcher.pace(endpoint, service.pace());
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

/// Records new sources and leases the plan jobs that are open.
fn open_sources(options: &CrawlOptions, places: &Places, ledger: &dyn Ledger, matcher: Option<&dyn Matcher>) -> Result<Sources, Error> {
    ledger.reopen().map_err(Error::ledger("reopen jobs"))?;
    let mut sources = Sources::default();
    for source in &options.sources {
        let opened = match source {
            Source::Web(url) => vec![open_site(url, options, ledger)?],
            Source::Urls { path, url, caption } => {
                let asked = Asked { url: url.as_deref(), caption: caption.as_deref(), hash: options.verify_hash.as_deref() };
                open_lists(path, asked, options, ledger, &mut sources)?
            }
            Source::Search { service, endpoint } => vec![open_search(*service, endpoint, options, ledger, matcher)?],
            Source::Archive { kind, place } => vec![open_archives(*kind, place, places, options, ledger)?],
        };
        for lane in opened {
            // The same source named twice is one.
            if sources.lanes.iter().all(|known| known.id != lane.id) {
                sources.lanes.push(lane);
            }
        }
    }
    Ok(sources)
}

fn open_search(
    service: Service,
    endpoint: &Url,
    options: &CrawlOptions,
    ledger: &dyn Ledger,
    matcher: Option<&dyn Matcher>,
) -> Result<Lane, Error> {
    let needed = || Error::Usage(format!("{}: needs --queries: it is asked for each query", service.name()));
    let matcher = matcher.ok_or_else(needed)?;
    let search = search::open(service, endpoint, options);
    let (id, state) = ledger.source(service.name(), endpoint.as_str()).map_err(Error::ledger("open a source"))?;
    if state == "new" {
        let mut seen = vec![0; matcher.query_count()];
        for (query, count) in ledger.counters().map_err(Error::ledger("read counters"))? {
            if let Some(seen) = seen.get_mut(query as usize) {
                *seen = count;
            }
        }
        // Requests known from a start that was cut off are left as they are.
        let requests: Vec<PageLink> = search::first_requests(search.as_ref(), matcher, &seen).collect();
        for some in requests.chunks(10_000) {
            ledger.add_pages(id, some).map_err(Error::ledger("add pages"))?;
        }
        ledger.set_source_state(id, CRAWLING).map_err(Error::ledger("change a source"))?;
    }
    Ok(Lane { id, kind: Kind::Search(service, search), plans: VecDeque::new(), pages: 0, list: None })
}

fn open_archives(kind: ArchiveKind, text: &str, places: &Places, options: &CrawlOptions, ledger: &dyn Ledger) -> Result<Lane, Error> {
    let mut location = match Place::parse(text) {
        Place::File(path) => path.canonicalize().unwrap_or(path).display().to_string(),
        place => place.to_string(),
    };
    // Another limit makes another source; pairs that both have are seen once.
    if let Some(limit) = options.limit {
        location = format!("{location}?files={limit}");
    }
    let (id, state) = ledger.source(kind.name(), &location).map_err(Error::ledger("open a source"))?;
    if state == "new" {
        let parts = archives::expand(places, kind, text, options.limit)?;
        let jobs: Result<Vec<NewJob>, Error> =
            parts.iter().map(|part| Ok(NewJob { kind: JobKind::Plan, payload: payload(part)? })).collect();
        ledger.add_jobs(id, &jobs?, PLANNING).map_err(Error::ledger("record jobs"))?;
    }
    open_finite(id, &state, ledger)
}

fn open_site(url: &Url, options: &CrawlOptions, ledger: &dyn Ledger) -> Result<Lane, Error> {
    let location = canonical_url(url);
    let (id, state) = ledger.source("web", &location).map_err(Error::ledger("open a source"))?;
    if state == "new" {
        ledger.add_pages(id, &[PageLink { url: location, depth: 0 }]).map_err(Error::ledger("add pages"))?;
        ledger.set_source_state(id, CRAWLING).map_err(Error::ledger("change a source"))?;
    }
    Ok(Lane { id, kind: Kind::Web(Site::of(url, options.rules.clone())), plans: VecDeque::new(), pages: 0, list: None })
}

/// Opens the lists of a source, each as one of its own.
fn open_lists(
    path: &Path,
    asked: Asked<'_>,
    options: &CrawlOptions,
    ledger: &dyn Ledger,
    sources: &mut Sources,
) -> Result<Vec<Lane>, Error> {
    let opened = listed::open(path, asked, options, ledger)?;
    sources.unreadable += opened.unreadable;
    let lane = |list: listed::List| {
        begin_fetching(list.id, &list.state, &list.plans, ledger)?;
        Ok(Lane { id: list.id, kind: Kind::Finite, plans: list.plans, pages: 0, list: Some(list.path) })
    };
    opened.lists.into_iter().map(lane).collect()
}

/// Leases what is left to be planned of a finite source.
fn open_finite(id: u64, state: &str, ledger: &dyn Ledger) -> Result<Lane, Error> {
    let plans = lease_plans(id, ledger)?;
    begin_fetching(id, state, &plans, ledger)?;
    Ok(Lane { id, kind: Kind::Finite, plans, pages: 0, list: None })
}

/// Moves a source on of which all is planned.
fn begin_fetching(id: u64, state: &str, plans: &VecDeque<Job>, ledger: &dyn Ledger) -> Result<(), Error> {
    if plans.is_empty() && state == PLANNING {
        ledger.set_source_state(id, FETCHING).map_err(Error::ledger("change a source"))?;
    }
    Ok(())
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
    loop {
        while tasks.len() < engine.options.jobs && !engine.options.stop.is_cancelled() {
            let (back, next) = engine.blocking(move |engine| Ok(next_job(engine, &mut lanes).map(|next| (lanes, next)))).await??;
            lanes = back;
            let Some((lane, job)) = next else { break };
            let (engine, kind, leased) = (engine.clone(), lanes[lane].kind.clone(), job.pages.len() as u64);
            lanes[lane].pages += leased;
            tasks.spawn(async move {
                let result = match kind {
                    Kind::Web(site) if job.kind == JobKind::Pages => pages::run(engine, job, site).await,
                    Kind::Search(service, search) if job.kind == JobKind::Pages => search::run(engine, job, service, search).await,
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
    engine.blocking(move |engine| mark_done(engine, &lanes)).await
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

/// Leases the next job of the first source that has one: what is left of earlier jobs before new pages.
fn next_job(engine: &Arc<Engine>, lanes: &mut [Lane]) -> Result<Option<(usize, Job)>, Error> {
    let ledger = &engine.ledger;
    for (i, lane) in lanes.iter_mut().enumerate() {
        if let Some(job) = ledger.next_job(lane.id, JobKind::Fetch).map_err(Error::ledger("lease a job"))? {
            return Ok(Some((i, job)));
        }
        let most = match lane.kind {
            Kind::Finite => continue,
            Kind::Web(_) => engine.options.sizes.pages,
            Kind::Search(..) => engine.options.sizes.pages.min(search::REQUESTS),
        };
        if let Some(job) = ledger.next_job(lane.id, JobKind::Pages).map_err(Error::ledger("lease a job"))? {
            return Ok(Some((i, job)));
        }
        let done = ledger.pages_done(lane.id).map_err(Error::ledger("count pages"))?;
        let room = engine.options.limit.map_or(u64::MAX, |limit| limit.saturating_sub(done + lane.pages));
        let limit = room.min(most as u64) as usize;
        if limit > 0
            && let Some(job) = ledger.lease_pages(lane.id, limit).map_err(Error::ledger("lease pages"))?
        {
            return Ok(Some((i, job)));
        }
    }
    Ok(None)
}

fn mark_done(engine: &Arc<Engine>, lanes: &[Lane]) -> Result<(), Error> {
    for lane in lanes {
        if engine.ledger.jobs_left(lane.id).map_err(Error::ledger("count jobs"))? == 0 {
            engine.ledger.set_source_state(lane.id, DONE).map_err(Error::ledger("change a source"))?;
        }
    }
    Ok(())
}
