//! The run: opens the corpus, records the sources' work, and keeps jobs going until none is left.

use crate::engine::{Engine, lock};
use crate::guard::is_private_host;
use crate::layout::{Layout, payload};
use crate::pages::Site;
use crate::place::{Place, Places};
use crate::replay::is_replay;
use crate::search::{self, Search};
use crate::seen::{Seen, tables};
use crate::segment::sweep;
use crate::summary::Tally;
use crate::{
    ArchiveKind, CrawlOptions, CrawlSummary, DRAIN, Error, Ledger, Matcher, Service, Source, archives, images, lists, metrics, pages, plan,
    replay, urls,
};
use rustc_hash::FxHashSet;
use shards::{Candidate, Job, JobKind, Meter, NewJob, PageLink, TableReader, canonical_url};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinSet;
use url::Url;

/// States of a source, besides `new`.
const PLANNING: &str = "planning";
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
            let mut lanes = open_sources(&options, &places, ledger.as_ref(), matcher.as_deref())?;
            let replays = replay::open(&options, ledger.as_ref())?;
            lanes.extend(replays.into_iter().map(|replay| Lane { id: replay.id, kind: Kind::Finite, plans: replay.plans, pages: 0 }));
            let committed: FxHashSet<u64> = ledger.committed_segments().map_err(Error::ledger("list segments"))?.into_iter().collect();
            let open_plans = lanes.iter().flat_map(|lane| &lane.plans).map(|job| job.id).collect();
            let newest = ledger.newest_job().map_err(Error::ledger("find the newest job"))?;
            sweep(&layout, newest, &committed, &open_plans)?;
            replay::finish_moves(&layout)?;
            let seen = Seen::load(&layout)?;
            let engine = Engine::new(options, ledger, matcher, meter, places, seen, lock)?;
            Ok::<_, Error>((Arc::new(engine), lanes))
        })
    };
    let (engine, mut lanes) = opened.await??;
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
fn open_sources(options: &CrawlOptions, places: &Places, ledger: &dyn Ledger, matcher: Option<&dyn Matcher>) -> Result<Vec<Lane>, Error> {
    ledger.reopen().map_err(Error::ledger("reopen jobs"))?;
    let mut lanes: Vec<Lane> = Vec::new();
    for source in &options.sources {
        let opened = match source {
            Source::Web(url) => vec![open_site(url, options, ledger)?],
            Source::Urls { path, url, caption } => open_lists(path, url.as_deref(), caption.as_deref(), options, ledger)?,
            Source::Search { service, endpoint } => vec![open_search(*service, endpoint, options, ledger, matcher)?],
            Source::Archive { kind, place } => vec![open_archives(*kind, place, places, options, ledger)?],
        };
        for lane in opened {
            // The same source named twice is one.
            if lanes.iter().all(|known| known.id != lane.id) {
                lanes.push(lane);
            }
        }
    }
    Ok(lanes)
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
    Ok(Lane { id, kind: Kind::Search(service, search), plans: VecDeque::new(), pages: 0 })
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
    Ok(Lane { id, kind: Kind::Web(Site::of(url, options.rules.clone())), plans: VecDeque::new(), pages: 0 })
}

/// Opens each list that `path` names as a source of its own, up to the limit of rows in all.
fn open_lists(
    path: &Path,
    url: Option<&str>,
    caption: Option<&str>,
    options: &CrawlOptions,
    ledger: &dyn Ledger,
) -> Result<Vec<Lane>, Error> {
    let mut left = options.limit;
    let mut lanes = Vec::new();
    for file in lists::expand(path)? {
        if left == Some(0) {
            break;
        }
        let (lane, rows) = open_list(&file, url, caption, left, options, ledger)?;
        lanes.push(lane);
        left = left.map(|left| left.saturating_sub(rows));
    }
    Ok(lanes)
}

/// Opens a list; gives the rows that count against a limit too.
fn open_list(
    path: &Path,
    url: Option<&str>,
    caption: Option<&str>,
    limit: Option<u64>,
    options: &CrawlOptions,
    ledger: &dyn Ledger,
) -> Result<(Lane, u64), Error> {
    // Other columns or another limit make another source; rows that both have are seen once.
    let columns = [("url", url), ("caption", caption)].into_iter().filter_map(|(name, column)| Some(format!("{name}={}", column?)));
    let parts: Vec<String> = columns.chain(limit.map(|limit| format!("rows={limit}"))).collect();
    let query = if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) };
    let (id, state) = ledger.source("urls", &format!("{}{query}", path.display())).map_err(Error::ledger("open a source"))?;
    // Under a limit its rows are counted each time, for the lists after it.
    let asked = urls::Asked { url, caption, hash: options.verify_hash.as_deref() };
    let cut = || urls::cut(path, &unpacked(options), asked, limit, options.sizes.candidates as u64);
    let stretches = if state == "new" || limit.is_some() { cut()? } else { Vec::new() };
    if state == "new" {
        let jobs: Result<Vec<NewJob>, Error> =
            stretches.iter().map(|stretch| Ok(NewJob { kind: JobKind::Plan, payload: payload(stretch)? })).collect();
        ledger.add_jobs(id, &jobs?, PLANNING).map_err(Error::ledger("record jobs"))?;
    }
    Ok((open_finite(id, &state, ledger)?, stretches.iter().map(|stretch| stretch.rows).sum()))
}

/// The folder of unpacked lists.
fn unpacked(options: &CrawlOptions) -> PathBuf {
    options.corpus.join("lists")
}

/// Leases what is left to be planned of a finite source.
fn open_finite(id: u64, state: &str, ledger: &dyn Ledger) -> Result<Lane, Error> {
    let mut plans = VecDeque::new();
    while let Some(job) = ledger.next_job(id, JobKind::Plan).map_err(Error::ledger("lease a job"))? {
        plans.push_back(job);
    }
    if plans.is_empty() && state == PLANNING {
        ledger.set_source_state(id, FETCHING).map_err(Error::ledger("change a source"))?;
    }
    Ok(Lane { id, kind: Kind::Finite, plans, pages: 0 })
}

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
    let mut tasks: JoinSet<Result<(Tally, Option<Job>), Error>> = JoinSet::new();
    let mut left = false;
    loop {
        while tasks.len() < engine.options.jobs
            && !engine.options.stop.is_cancelled()
            && let Some(job) = jobs.pop_front()
        {
            let engine = engine.clone();
            let work = move |engine: &Arc<Engine>| {
                if is_replay(&job) {
                    return Ok((replay::run(engine, &job)?, None));
                }
                let tally = plan::run(engine, &job)?;
                // What is left of an archive is a job of its own now.
                Ok((tally, engine.ledger.next_job(job.source, JobKind::Plan).map_err(Error::ledger("lease a job"))?))
            };
            tasks.spawn(async move { engine.blocking(work).await });
        }
        match tasks.join_next().await {
            Some(done) => {
                let (tally, next) = match done.map_err(Error::from).flatten() {
                    Ok(done) => done,
                    // Stopped: the job is done again by the next crawl.
                    Err(_) if engine.places.has_given_up() => {
                        left = true;
                        continue;
                    }
                    Err(error) => return Err(end_early(engine, tasks, error).await),
                };
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
    let change = move |engine: &Arc<Engine>| {
        // Their rows are planned; one that is asked for again is unpacked again.
        let _ = std::fs::remove_dir_all(unpacked(&engine.options));
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
