//! Search services as sources: pairs for a query, queries with the fewest pairs first.
//!
//! The frontier is the catalogue's, as for pages of the web: each query's next request waits there, and its depth is the number of pairs that
//! the query had when it was added. Requests of the fewest pairs are leased first, and a query that has enough is not asked for again.

use crate::engine::{ENOUGH, Engine, now_ms};
use crate::fetch::{Refusal, Want};
use crate::images::{decide_all, finish};
use crate::layout::{PagesPayload, payload, read_payload};
use crate::offer::{Origin, candidates};
use crate::page::{Found, Place};
use crate::segment::SegmentWriter;
use crate::summary::{REPEATED, Tally};
use crate::{CrawlOptions, Error, Matcher, commons, openverse};
use shards::{Candidate, Commit, Job, JobKind, NewJob, PageLink, canonical_url, outcome};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Requests of a job: few, because the order of those that wait changes with every answer.
pub(crate) const REQUESTS: usize = 50;
/// Results taken of one answer, whatever was asked for: with those of half a job they fit into one.
const MAX_RESULTS: usize = 500;
/// Times that a request is made again for a service that says it is busy, and the first pause before, in units of the crawl's back-off; the
/// pause doubles each time.
const MAX_BUSY: u32 = 5;
const BUSY_PAUSE: u32 = 5;

/// A service that finds pictures by words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Openverse: openly licensed images of many collections.
    Openverse,
    /// Wikimedia Commons.
    Commons,
}

impl Service {
    /// The name in `--source` and in [`shards::Candidate`]'s `source`.
    pub fn name(self) -> &'static str {
        match self {
            Service::Openverse => "openverse",
            Service::Commons => "commons",
        }
    }

    /// Where it is to be had.
    pub(crate) fn address(self) -> &'static str {
        match self {
            Service::Openverse => openverse::ENDPOINT,
            Service::Commons => commons::ENDPOINT,
        }
    }

    /// Least time between two requests that its documentation asks for.
    pub(crate) fn pace(self) -> Duration {
        match self {
            Service::Openverse => Duration::from_secs(1),
            Service::Commons => Duration::ZERO,
        }
    }
}

/// What a service answered.
pub(crate) enum Answer {
    /// Images with the pages they are shown on, and where there are more.
    Results { images: Vec<(Found, String)>, next: Option<Url> },
    /// It asks to be left alone for a while.
    Busy,
    /// It is not what its documentation says.
    Unreadable(String),
}

/// Pairs for a query.
pub(crate) trait Search: Send + Sync {
    /// The request for a query's first results.
    fn first(&self, query: &str) -> Url;

    /// Reads the answer to a request.
    fn read(&self, request: &Url, body: &[u8]) -> Answer;
}

/// The service at an address.
pub(crate) fn open(service: Service, endpoint: &Url, options: &CrawlOptions) -> Arc<dyn Search> {
    match service {
        Service::Openverse => Arc::new(openverse::Openverse::new(endpoint)),
        Service::Commons => Arc::new(commons::Commons::new(endpoint, ENOUGH * options.image_size)),
    }
}

/// The first request of every query, to be recorded with the pairs that it has.
pub(crate) fn first_requests<'a>(search: &'a dyn Search, matcher: &'a dyn Matcher, seen: &'a [u64]) -> impl Iterator<Item = PageLink> + 'a {
    (0..matcher.query_count() as u32).map(|query| {
        let pairs = seen.get(query as usize).copied().unwrap_or(0);
        request(&search.first(matcher.text(query)), query, 0, pairs)
    })
}

/// A request in the frontier. Its fragment, which no server sees, names the query and how often the service was busy.
fn request(url: &Url, query: u32, busy: u32, pairs: u64) -> PageLink {
    let mut url = url.clone();
    url.set_fragment(Some(&format!("q{query}.{busy}")));
    PageLink { url: url.into(), depth: u32::try_from(pairs).unwrap_or(u32::MAX) }
}

/// The request, its query and how often it was made in vain.
fn parse(link: &PageLink) -> Option<(Url, u32, u32)> {
    let mut url = Url::parse(&link.url).ok()?;
    let (query, busy) = url.fragment()?.strip_prefix('q')?.split_once('.')?;
    let (query, busy) = (query.parse().ok()?, busy.parse().ok()?);
    url.set_fragment(None);
    Some((url, query, busy))
}

/// What a job has gathered.
#[derive(Default)]
struct Harvest {
    candidates: Vec<Candidate>,
    links: Vec<PageLink>,
    /// Requests left to a later job.
    rest: Vec<(String, u32)>,
    tally: Tally,
}

/// Runs a `Pages` job of a search source.
///
/// # Errors
/// `Files` when the corpus cannot be written, `Ledger` when the catalogue refuses.
pub(crate) async fn run(engine: Arc<Engine>, job: Job, service: Service, search: Arc<dyn Search>) -> Result<Tally, Error> {
    let begun = Instant::now();
    let requests = if job.pages.is_empty() {
        let PagesPayload { pages } = if job.payload.is_empty() { PagesPayload::default() } else { read_payload(&job)? };
        pages.into_iter().map(|(url, depth)| PageLink { url, depth }).collect()
    } else {
        job.pages.clone()
    };
    let mut harvest = ask_all(&engine, requests, service, search.as_ref(), begun + engine.options.sizes.time / 2).await;
    let writer = SegmentWriter::start(engine.layout.clone(), job.id, engine.clone());
    let deadline = begun + engine.options.sizes.time;
    let decided = decide_all(&engine, harvest.candidates, &writer.sender(), deadline, None, &mut harvest.tally).await?;
    let mut more = Commit { pages: harvest.links, ..Commit::default() };
    if !harvest.rest.is_empty() {
        more.jobs.push(NewJob { kind: JobKind::Pages, payload: payload(&PagesPayload { pages: harvest.rest })? });
    }
    finish(&engine, job, writer, decided, more, None, harvest.tally).await
}

/// Makes the requests one after the other, until the job has as many candidates as it may.
async fn ask_all(engine: &Arc<Engine>, requests: Vec<PageLink>, service: Service, search: &dyn Search, deadline: Instant) -> Harvest {
    let mut harvest = Harvest::default();
    let mut requests = requests.into_iter();
    for link in requests.by_ref() {
        let full = harvest.candidates.len() >= engine.options.sizes.candidates / 2;
        if harvest.tally.pages > 0 && (full || Instant::now() > deadline) {
            harvest.rest.push((link.url, link.depth));
            break;
        }
        harvest.tally.pages += 1;
        engine.meter.add(1);
        match parse(&link) {
            Some((url, query, busy)) if engine.wants_more(query) => ask(engine, &mut harvest, &url, query, busy, service, search).await,
            Some(_) => harvest.tally.count("page:query-full"),
            None => harvest.tally.count("page:unsafe_address"),
        }
    }
    harvest.rest.extend(requests.map(|link| (link.url, link.depth)));
    harvest
}

/// Makes one request and takes its pairs.
async fn ask(engine: &Arc<Engine>, harvest: &mut Harvest, url: &Url, query: u32, busy: u32, service: Service, search: &dyn Search) {
    let reply = engine.fetcher.get(url, Want::Answer, &CancellationToken::new()).await;
    harvest.tally.learn(reply.traffic);
    let answer = match reply.result {
        Ok(body) => search.read(url, &body.bytes),
        Err(Refusal::Because(outcome::HTTP_429, _)) => Answer::Busy,
        Err(Refusal::Because(outcome::HTTP_5XX, why)) if why.starts_with("503") => Answer::Busy,
        Err(refusal) => {
            let (outcome, detail) = refusal.decision();
            tracing::warn!(%url, outcome, detail, "a search failed");
            harvest.tally.count(format!("page:{outcome}"));
            return;
        }
    };
    match answer {
        Answer::Results { images, next } => {
            harvest.tally.count("page:ok");
            let source = format!("{}:{}", service.name(), engine.query_text(query));
            for (found, page_url) in images.into_iter().take(MAX_RESULTS) {
                take(engine, harvest, found, &page_url, &source);
            }
            if let Some(next) = next.filter(|_| engine.wants_more(query)) {
                harvest.links.push(request(&next, query, 0, engine.pairs_of(query)));
            }
        }
        Answer::Busy if busy < MAX_BUSY => {
            engine.fetcher.pause(url, engine.options.backoff.saturating_mul(BUSY_PAUSE << busy));
            harvest.tally.count("page:busy");
            harvest.links.push(request(url, query, busy + 1, engine.pairs_of(query)));
        }
        Answer::Busy => harvest.tally.count("page:given-up"),
        Answer::Unreadable(why) => {
            tracing::warn!(%url, why, "a search gave no results");
            harvest.tally.count("page:unreadable");
        }
    }
}

fn take(engine: &Arc<Engine>, harvest: &mut Harvest, found: Found, page_url: &str, source: &str) {
    let Place::Url(url) = &found.place else { return };
    if found.captions.is_empty() {
        harvest.tally.count("image:no-caption");
    }
    let image_url = canonical_url(url);
    let origin = Origin { page_url, source, found_ms: now_ms(), licence: "" };
    for candidate in candidates(found, &image_url, origin) {
        match engine.claim(candidate, &mut harvest.tally) {
            Some(candidate) => harvest.candidates.push(candidate),
            None => harvest.tally.count(REPEATED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_keep_their_query() {
        let url = Url::parse("http://e.org/?q=a%20cat&page=2").expect("a URL");
        let link = request(&url, 17, 3, 1 << 40);
        assert_eq!((parse(&link), link.depth), (Some((url, 17, 3)), u32::MAX));
        assert_eq!(parse(&PageLink { url: "http://e.org/#x".into(), depth: 0 }), None);
    }
}
