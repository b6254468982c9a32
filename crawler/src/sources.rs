//! Opening sources: what each flag names becomes a lane of recorded work, new or gone on with.

use crate::columns::Asked;
use crate::layout::payload;
use crate::listed::{self, PLANNING, lease_plans};
use crate::pages::Site;
use crate::place::{Place, Places};
use crate::replay;
use crate::search::{self, Lookup};
use crate::{ArchiveKind, CrawlOptions, Error, Ledger, Matcher, Service, Source, archives};
use shards::{Job, JobKind, NewJob, PageLink, canonical_url};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// States of a source, besides `new` and `planning`.
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
    /// The list that it reads, if it is one.
    pub(crate) list: Option<PathBuf>,
}

/// What was found where sources were opened.
#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) lanes: Vec<Lane>,
    /// Lists that cannot be read.
    pub(crate) unreadable: u64,
}

impl Sources {
    fn add(&mut self, opened: Vec<Lane>) {
        for lane in opened {
            // The same source named twice is one.
            if self.lanes.iter().all(|known| known.id != lane.id) {
                self.lanes.push(lane);
            }
        }
    }
}

impl Lane {
    /// A source with pages to ask for.
    fn walk(id: u64, kind: Kind) -> Self {
        Lane { id, kind, plans: VecDeque::new(), pages: 0, list: None }
    }

    /// A source whose pairs are planned.
    fn finite(id: u64, plans: VecDeque<Job>, list: Option<PathBuf>) -> Self {
        Lane { id, kind: Kind::Finite, plans, pages: 0, list }
    }
}

/// Records new sources, leases the plan jobs that are open, and puts back what is to be tried again.
///
/// # Errors
/// `Usage`, `Contact`, `List`, `Archive` for sources that cannot be had, `Ledger` when the catalogue refuses.
pub(crate) fn open(options: &CrawlOptions, places: &Places, ledger: &dyn Ledger, matcher: Option<&dyn Matcher>) -> Result<Sources, Error> {
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
        sources.add(opened);
    }
    sources.add(open_retried(options, ledger, matcher)?);
    let left = open_left(&sources, ledger)?;
    sources.add(left);
    let replays = replay::open(options, ledger)?;
    sources.add(replays.into_iter().map(|replay| Lane::finite(replay.id, replay.plans, None)).collect());
    Ok(sources)
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

/// Opens sources of which all is planned and not all fetched, and whose files are gone or have another name since: nothing else would
/// take up their pairs, which count as seen.
fn open_left(sources: &Sources, ledger: &dyn Ledger) -> Result<Vec<Lane>, Error> {
    let mut lanes = Vec::new();
    for kind in ["urls", ArchiveKind::Warc.name(), ArchiveKind::Wat.name()] {
        for (id, location) in ledger.sources_of(kind).map_err(Error::ledger("list sources"))? {
            let (_, state) = ledger.source(kind, &location).map_err(Error::ledger("open a source"))?;
            // One that is still there is gone on with by its own name, and by the options that are given then.
            let path = location.rsplit_once('?').map_or(location.as_str(), |(path, _)| path);
            let is_there = Path::new(path).exists() || !Path::new(path).is_absolute();
            if state != FETCHING || is_there || sources.lanes.iter().any(|lane| lane.id == id) {
                continue;
            }
            if ledger.jobs_left(id).map_err(Error::ledger("count jobs"))? > 0 {
                tracing::info!(kind, location, "goes on with what is left of an earlier crawl");
                lanes.push(Lane::finite(id, VecDeque::new(), None));
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
        Place::File(path) => listed::settled(&path).display().to_string(),
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
        Ok(Lane::finite(list.id, list.plans, Some(list.path)))
    };
    opened.lists.into_iter().map(lane).collect()
}

/// Leases what is left to be planned of a finite source.
fn open_finite(id: u64, state: &str, ledger: &dyn Ledger) -> Result<Lane, Error> {
    let plans = lease_plans(id, ledger)?;
    begin_fetching(id, state, &plans, ledger)?;
    Ok(Lane::finite(id, plans, None))
}

/// Moves a source on of which all is planned.
fn begin_fetching(id: u64, state: &str, plans: &VecDeque<Job>, ledger: &dyn Ledger) -> Result<(), Error> {
    if plans.is_empty() && state == PLANNING {
        ledger.set_source_state(id, FETCHING).map_err(Error::ledger("change a source"))?;
    }
    Ok(())
}
