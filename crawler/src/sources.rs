//! Opening sources: what each flag names becomes a lane of recorded work, new or gone on with.

use crate::layout::payload;
use crate::pages::Site;
use crate::place::{Place, Places};
use crate::replay;
use crate::search::{self, Lookup};
use crate::{ArchiveKind, CrawlOptions, Error, Ledger, Matcher, Service, Source, archives, lists, urls};
use shards::{Job, JobKind, NewJob, PageLink, canonical_url};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// States of a source, besides `new`.
pub(crate) const PLANNING: &str = "planning";
pub(crate) const FETCHING: &str = "fetching";
pub(crate) const CRAWLING: &str = "crawling";
pub(crate) const DONE: &str = "done";
/// Pages of it were put back into the frontier, and it is not done since.
const RETRYING: &str = "retrying";

/// How a source's pages are fetched.
#[derive(Clone)]
pub(crate) enum Kind {
    /// It has none: its pairs are planned.
    Finite,
    /// Pages of a site.
    Web(Site),
    /// Requests to a service.
    Search(Arc<Lookup>),
}

/// A source in work.
pub(crate) struct Lane {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    /// Plan jobs that are still to be done.
    pub(crate) plans: VecDeque<Job>,
    /// Pages leased to jobs in work.
    pub(crate) pages: u64,
}

impl Lane {
    /// A source with pages to ask for.
    fn walk(id: u64, kind: Kind) -> Self {
        Lane { id, kind, plans: VecDeque::new(), pages: 0 }
    }
}

/// Records new sources, leases the plan jobs that are open, and puts back what is to be tried again.
///
/// # Errors
/// `Usage`, `Contact`, `List`, `Archive` for sources that cannot be had, `Ledger` when the catalogue refuses.
pub(crate) fn open(
    options: &CrawlOptions,
    places: &Places,
    ledger: &dyn Ledger,
    matcher: Option<&dyn Matcher>,
) -> Result<Vec<Lane>, Error> {
    ledger.reopen().map_err(Error::ledger("reopen jobs"))?;
    let mut lanes: Vec<Lane> = Vec::new();
    let mut add = |opened: Vec<Lane>| {
        for lane in opened {
            // The same source named twice is one.
            if lanes.iter().all(|known| known.id != lane.id) {
                lanes.push(lane);
            }
        }
    };
    for source in &options.sources {
        add(match source {
            Source::Web(url) => vec![open_site(url, options, ledger)?],
            Source::Urls { path, url, caption } => open_lists(path, url.as_deref(), caption.as_deref(), options, ledger)?,
            Source::Search { service, endpoint } => vec![open_search(*service, endpoint, options, ledger, matcher)?],
            Source::Archive { kind, place } => vec![open_archives(*kind, place, places, options, ledger)?],
        });
    }
    add(open_retried(options, ledger, matcher)?);
    let replays = replay::open(options, ledger)?;
    add(replays.into_iter().map(|replay| Lane { id: replay.id, kind: Kind::Finite, plans: replay.plans, pages: 0 }).collect());
    Ok(lanes)
}

/// Puts pages of the outcomes that are to be tried again back into the frontier of their sources, and opens these, with those that an
/// earlier run put back and did not finish.
fn open_retried(options: &CrawlOptions, ledger: &dyn Ledger, matcher: Option<&dyn Matcher>) -> Result<Vec<Lane>, Error> {
    let mut lanes = Vec::new();
    if options.retry.is_empty() {
        return Ok(lanes);
    }
    for kind in ["web", Service::Openverse.name(), Service::Commons.name()] {
        for (id, location) in ledger.sources_of(kind).map_err(Error::ledger("list sources"))? {
            let Ok(url) = Url::parse(&location) else { continue };
            ledger.retry_pages(id, &options.retry).map_err(Error::ledger("put pages back"))?;
            let (_, state) = ledger.source(kind, &location).map_err(Error::ledger("open a source"))?;
            if state != RETRYING {
                continue;
            }
            options.check_host(&url)?;
            match [Service::Openverse, Service::Commons].into_iter().find(|service| service.name() == kind) {
                None => lanes.push(Lane::walk(id, Kind::Web(Site::of(&url, options.rules.clone())))),
                // Without queries nothing can be asked of it; its requests wait.
                Some(service) if matcher.is_some() => lanes.push(Lane::walk(id, Kind::Search(Lookup::open(service, &url, options)))),
                Some(_) => {}
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
    let lookup = Lookup::open(service, endpoint, options);
    let (id, state) = ledger.source(service.name(), endpoint.as_str()).map_err(Error::ledger("open a source"))?;
    if state == "new" {
        let mut seen = vec![0; matcher.query_count()];
        for (query, count) in ledger.counters().map_err(Error::ledger("read counters"))? {
            if let Some(seen) = seen.get_mut(query as usize) {
                *seen = count;
            }
        }
        // Requests known from a start that was cut off are left as they are.
        let requests: Vec<PageLink> = search::first_requests(lookup.search.as_ref(), matcher, &seen).collect();
        for some in requests.chunks(10_000) {
            ledger.add_pages(id, some).map_err(Error::ledger("add pages"))?;
        }
        ledger.set_source_state(id, CRAWLING).map_err(Error::ledger("change a source"))?;
    }
    Ok(Lane::walk(id, Kind::Search(lookup)))
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
    Ok(Lane::walk(id, Kind::Web(Site::of(url, options.rules.clone()))))
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
pub(crate) fn unpacked(options: &CrawlOptions) -> PathBuf {
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
