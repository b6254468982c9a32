//! Search services as sources: pairs for a query, queries with the fewest pairs first.
//!
//! The frontier is the catalogue's, as for pages of the web: each query's next request waits there, and its depth is the number of pairs that
//! the query has. Requests of the fewest pairs are leased first, and one of a query that has enough is left as `full` until the cap is
//! raised. A request that fails for a reason that may pass waits, behind all that failed less often, and is made again; `health` says when it is
//! decided and when a service is left alone.

use crate::engine::{ENOUGH, Engine, now_ms};
use crate::fetch::{Fetcher, Refusal, Want};
use crate::guard::is_private_host;
use crate::health::{Health, Verdict};
use crate::images::{decide_all, finish};
use crate::layout::pages_of;
use crate::offer::{Origin, candidates};
use crate::page::{Found, Place};
use crate::segment::SegmentWriter;
use crate::summary::{REPEATED, Tally};
use crate::{CrawlOptions, Error, Matcher, commons, openverse};
use shards::{Candidate, Commit, Job, PageLink, canonical_url, outcome};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Requests of a job: few, because the order of those that wait changes with every answer.
pub(crate) const REQUESTS: usize = 50;
/// A request's depth is the pairs of its query, and this for each time it failed: what fails comes after all else, in later runs too.
const FALL: u32 = 1 << 24;
/// The pause after a service says that it is busy, in units of the crawl's back-off; it doubles with each such answer in a row.
const BUSY_PAUSE: u32 = 5;
/// Times that a request is made before it waits, when the service says in an answer that it failed over it.
const TRIES: u32 = 3;
/// The longest pause that is kept because an answer asks for it.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// The outcome of a request whose answer is not what the service's documentation says.
pub(crate) const UNREADABLE: &str = "unreadable";

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
    /// It asks to be left alone for a while, and says why.
    Busy(String),
    /// It failed over this request, for a reason that may pass.
    Failed(String),
    /// It will not answer this request, now or later.
    Refused(String),
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

/// A service in work.
pub(crate) struct Lookup {
    service: Service,
    endpoint: Url,
    pub(crate) search: Arc<dyn Search>,
    health: Health,
}

impl Lookup {
    /// The service at an address.
    pub(crate) fn open(service: Service, endpoint: &Url, options: &CrawlOptions) -> Arc<Self> {
        let search: Arc<dyn Search> = match service {
            Service::Openverse => Arc::new(openverse::Openverse::new(endpoint)),
            Service::Commons => Arc::new(commons::Commons::new(endpoint, ENOUGH * options.image_size)),
        };
        Arc::new(Lookup { service, endpoint: endpoint.clone(), search, health: Health::default() })
    }

    /// Tells the fetcher how often its documentation lets it be asked; one on this machine or network may be asked faster.
    pub(crate) fn keep_pace(&self, fetcher: &Fetcher) {
        if !is_private_host(&self.endpoint) {
            fetcher.pace(&self.endpoint, self.service.pace());
        }
    }

    /// Whether it failed so often that it is left alone in this run.
    pub(crate) fn has_ended(&self) -> bool {
        self.health.ended().is_some()
    }

    /// What to say of a service that is left alone, and of the requests that wait for it.
    pub(crate) fn complaint(&self, waiting: u64) -> Option<String> {
        let (name, why) = (self.service.name(), self.health.ended()?);
        let wait = if waiting == 1 { "request waits" } else { "requests wait" };
        Some(format!("{name} at {} {why}; it is left alone in this run, and {waiting} {wait}: the same command asks again", self.endpoint))
    }

    /// A request's depth by now, of how many pairs its query has and how often it failed; nothing when those pairs are enough.
    pub(crate) fn rank(&self, engine: &Engine, url: &str) -> Option<u32> {
        match parse(url) {
            Some((_, query)) if !engine.wants_more(query) => None,
            Some((_, query)) => Some(depth(engine.pairs_of(query)) + self.health.falls(url).min(u32::MAX / FALL) * FALL),
            // One that cannot be read is leased and counted.
            None => Some(0),
        }
    }
}

/// The first request of every query, to be recorded with the pairs that it has.
pub(crate) fn first_requests<'a>(search: &'a dyn Search, matcher: &'a dyn Matcher, seen: &'a [u64]) -> impl Iterator<Item = PageLink> + 'a {
    (0..matcher.query_count() as u32).map(|query| {
        let pairs = seen.get(query as usize).copied().unwrap_or(0);
        request(&search.first(matcher.text(query)), query, pairs)
    })
}

/// A request in the frontier. Its fragment, which no server sees, names the query.
fn request(url: &Url, query: u32, pairs: u64) -> PageLink {
    let mut url = url.clone();
    // The second number stays for requests that are known from earlier versions.
    url.set_fragment(Some(&format!("q{query}.0")));
    PageLink { url: url.into(), depth: depth(pairs) }
}

fn depth(pairs: u64) -> u32 {
    pairs.min(u64::from(FALL - 1)) as u32
}

/// The request and its query.
fn parse(link: &str) -> Option<(Url, u32)> {
    let mut url = Url::parse(link).ok()?;
    let query = url.fragment()?.strip_prefix('q')?.split_once('.')?.0.parse().ok()?;
    url.set_fragment(None);
    Some((url, query))
}

/// What a job has gathered.
#[derive(Default)]
struct Harvest {
    candidates: Vec<Candidate>,
    links: Vec<PageLink>,
    /// Requests that are decided, and how.
    visited: Vec<(String, String)>,
    /// Requests that wait again.
    waiting: Vec<String>,
    tally: Tally,
}

impl Harvest {
    fn decide(&mut self, link: String, outcome: &str) {
        self.tally.pages += 1;
        self.tally.count(format!("page:{outcome}"));
        self.visited.push((link, outcome.to_string()));
    }
}

/// Runs a `Pages` job of a search source.
///
/// # Errors
/// `Files` when the corpus cannot be written, `Ledger` when the catalogue refuses.
pub(crate) async fn run(engine: Arc<Engine>, job: Job, lookup: Arc<Lookup>) -> Result<Tally, Error> {
    let begun = Instant::now();
    let requests = pages_of(&job)?;
    let mut harvest = ask_all(&engine, requests, &lookup, begun + engine.options.sizes.time / 2).await;
    let writer = SegmentWriter::start(engine.layout.clone(), job.id, engine.clone());
    let deadline = begun + engine.options.sizes.time;
    let decided = decide_all(&engine, harvest.candidates, &writer.sender(), deadline, None, &mut harvest.tally).await?;
    let more = Commit { pages: harvest.links, visited: harvest.visited, waiting: harvest.waiting, ..Commit::default() };
    finish(&engine, job, writer, decided, more, None, harvest.tally).await
}

/// Makes the requests one after the other, until the job has as many candidates as it may, or the service fails too often.
async fn ask_all(engine: &Arc<Engine>, requests: Vec<PageLink>, lookup: &Lookup, deadline: Instant) -> Harvest {
    let mut harvest = Harvest::default();
    let mut requests = VecDeque::from(requests);
    let mut any = false;
    while let Some(link) = requests.pop_front() {
        let full = harvest.candidates.len() >= engine.options.sizes.candidates / 2;
        let over = any && (full || Instant::now() > deadline);
        if over || engine.options.stop.is_cancelled() || lookup.has_ended() {
            harvest.waiting.push(link.url);
            break;
        }
        any = true;
        engine.meter.add(1);
        match parse(&link.url) {
            Some((url, query)) if engine.wants_more(query) => {
                // One that is made again stays first, after a pause: others would fare no better.
                ask(engine, &mut harvest, link, &url, query, lookup).await.into_iter().for_each(|again| requests.push_front(again));
            }
            Some(_) => harvest.decide(link.url, outcome::FULL),
            None => harvest.decide(link.url, outcome::UNSAFE_ADDRESS),
        }
    }
    harvest.waiting.extend(requests.into_iter().map(|link| link.url));
    harvest
}

/// Makes one request and takes its pairs; gives the request back when it is to be made again at once.
async fn ask(engine: &Arc<Engine>, harvest: &mut Harvest, link: PageLink, url: &Url, query: u32, lookup: &Lookup) -> Option<PageLink> {
    let reply = engine.fetcher.get(url, Want::Answer, &engine.options.stop).await;
    harvest.tally.learn(reply.traffic);
    let is_first = lookup.search.first(engine.query_text(query)) == *url;
    let trouble = |outcome, why| Trouble { outcome, why, pause: None, is_first, is_said: false };
    let (answer, pause) = match reply.result {
        Ok(body) => (lookup.search.read(url, &body.bytes), body.asked_for),
        Err(Refusal::Closed) => {
            harvest.waiting.push(link.url);
            return None;
        }
        Err(Refusal::Because(outcome, why)) => return refuse(engine, harvest, link, lookup, trouble(outcome, why)),
    };
    let trouble = match answer {
        Answer::Results { images, next } => {
            lookup.health.answered(&link.url);
            harvest.decide(link.url, outcome::OK);
            let source = format!("{}:{}", lookup.service.name(), engine.query_text(query));
            for (found, page_url) in images {
                take(engine, harvest, found, &page_url, &source);
            }
            // That of a query with enough is never made before the cap is raised.
            harvest.links.extend(next.map(|next| request(&next, query, engine.pairs_of(query))));
            return None;
        }
        Answer::Busy(why) => Trouble { pause, is_said: true, ..trouble(outcome::HTTP_429, format!("it says that it is busy: {why}")) },
        Answer::Failed(why) => Trouble { pause, is_said: true, ..trouble(outcome::HTTP_5XX, why) },
        Answer::Refused(why) => trouble(outcome::HTTP_4XX, why),
        Answer::Unreadable(why) => trouble(UNREADABLE, format!("no answer of such a service: {why}")),
    };
    refuse(engine, harvest, link, lookup, trouble)
}

/// What went wrong with a request.
struct Trouble {
    outcome: &'static str,
    why: String,
    /// How long the service asks to be left alone.
    pause: Option<Duration>,
    /// Whether its query's first results were asked for.
    is_first: bool,
    /// Whether the service says so itself in an answer, which the fetcher takes for a good one and makes no second time.
    is_said: bool,
}

impl Trouble {
    /// Whether it may pass.
    fn passes(&self) -> bool {
        self.outcome == UNREADABLE || outcome::FAILURES.contains(&self.outcome) && self.outcome != outcome::HTTP_4XX
    }

    /// Whether the service is too busy, for this request and all others.
    fn is_busy(&self) -> bool {
        self.outcome == outcome::HTTP_429 || self.why.starts_with("503")
    }

    /// Whether it says something about the service, not only about this request.
    fn is_of_the_service(&self) -> bool {
        self.is_busy() || [outcome::CONNECT, outcome::DNS].contains(&self.outcome)
    }

    /// Whether the request is made again after a pause, when so many failed since the last answer.
    fn is_worth_a_wait(&self, in_a_row: u32) -> bool {
        self.is_busy() || self.is_said && in_a_row < TRIES
    }
}

/// Notes that a request gave nothing: one that may do better later waits, or is given back to be made again.
fn refuse(engine: &Engine, harvest: &mut Harvest, link: PageLink, lookup: &Lookup, trouble: Trouble) -> Option<PageLink> {
    let Trouble { outcome, why, .. } = &trouble;
    tracing::warn!(url = %link.url, outcome, why, "a search failed");
    let said = if why.is_empty() { outcome.to_string() } else { format!("{outcome} ({why})") };
    if !trouble.passes() {
        // A service that has no more pages of an answer to give is well.
        if trouble.is_first {
            lookup.health.refused(&said);
        }
        harvest.decide(link.url, outcome);
        return None;
    }
    match lookup.health.failed(&link.url, link.depth / FALL, trouble.is_of_the_service(), &said) {
        Verdict::Decided => harvest.decide(link.url, outcome),
        Verdict::Again(in_a_row) if trouble.is_worth_a_wait(in_a_row) => {
            let pause = engine.options.backoff.saturating_mul(BUSY_PAUSE << (in_a_row - 1).min(4));
            engine.fetcher.pause(&lookup.endpoint, trouble.pause.map_or(pause, |asked| asked.min(MAX_PAUSE)));
            return Some(link);
        }
        Verdict::Again(_) => harvest.waiting.push(link.url),
    }
    None
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
        let link = request(&url, 17, 1 << 40);
        assert_eq!((parse(&link.url), link.depth), (Some((url, 17)), FALL - 1));
        assert_eq!(parse("http://e.org/#x"), None);
    }
}
