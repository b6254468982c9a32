//! Pages jobs: up to 200 pages of one site are fetched, their links and captioned images taken, and the images fetched.
//!
//! Sitemaps are pages too: they stand in the frontier with the fragment [`SITEMAP`], which the address of no page has there. Those
//! that `robots.txt` names are found with the seed.

use crate::engine::{Engine, now_ms, settle};
use crate::fetch::{Body, Refusal, Traffic, Want};
use crate::images::{Decided, decide_all, finish, store};
use crate::ingest::on_pool;
use crate::layout::pages_of;
use crate::links::{bare_host, is_media, page_address, recorded_address};
use crate::offer::{Origin, candidates};
use crate::page::{Page, Place, Reading, extract};
use crate::segment::{SegmentSender, SegmentWriter};
use crate::sitemap::{self, Sitemap};
use crate::summary::{REPEATED, Tally};
use crate::traps::TRAP;
use crate::{Error, Rules, charset, xhtml};
use rustc_hash::FxHashSet;
use shards::outcome::{FAILURES, FULL, HTTP_4XX, OK, OPTED_OUT, REMOVED, UNSAFE_ADDRESS};
use shards::{Candidate, Commit, ImageId, Job, PageLink, canonical_url};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

/// The outcome of a page that does not belong to the crawl.
const OFF_SITE: &str = "off_site";
/// The fragment of a sitemap in the frontier.
const SITEMAP: &str = "sitemap";

/// The pages that belong to a seed: same host and port, with or without `www.`, over http or https; or what the rules say.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    host: String,
    rules: Arc<Rules>,
}

impl Site {
    /// The site of a URL under rules.
    pub(crate) fn of(url: &Url, rules: Arc<Rules>) -> Self {
        Site { host: bare_host(url), rules }
    }

    fn has(&self, url: &Url) -> bool {
        self.rules.allow(url, self.is_own(url))
    }

    /// Whether the seed's host serves it.
    fn is_own(&self, url: &Url) -> bool {
        bare_host(url) == self.host
    }
}

/// A page as it came back.
struct Visit {
    link: PageLink,
    /// The page and its address after redirects, or why there is none.
    result: Result<(Page, Url), (&'static str, String)>,
    /// Not begun before the job closed.
    closed: bool,
    traffic: Traffic,
}

/// What a job has gathered.
#[derive(Default)]
struct Harvest {
    candidates: Vec<Candidate>,
    links: Vec<PageLink>,
    known: FxHashSet<String>,
    /// Pages that are decided, and how.
    visited: Vec<(String, String)>,
    /// Pages left to a later job.
    waiting: Vec<String>,
    tally: Tally,
}

impl Harvest {
    fn decide(&mut self, url: String, outcome: &str) {
        self.tally.count(format!("page:{outcome}"));
        self.visited.push((url, outcome.to_string()));
    }
}

/// Runs a `Pages` job.
///
/// # Errors
/// `Files` when the corpus cannot be written, `Ledger` when the catalogue refuses.
pub(crate) async fn run(engine: Arc<Engine>, job: Job, site: Site) -> Result<Tally, Error> {
    let begun = Instant::now();
    let pages = pages_of(&job)?;
    let writer = SegmentWriter::start(engine.layout.clone(), job.id, engine.clone());
    let sender = writer.sender();
    // Half of the time for pages, the other half for their images.
    let mut harvest = visit_all(&engine, pages, &site, &sender, begun + engine.options.sizes.time / 2).await?;
    let candidates = std::mem::take(&mut harvest.candidates);
    let deadline = begun + engine.options.sizes.time;
    let decided: Decided = decide_all(&engine, candidates, &sender, deadline, None, &mut harvest.tally).await?;
    drop(sender);
    let more = Commit { pages: harvest.links, visited: harvest.visited, waiting: harvest.waiting, ..Commit::default() };
    finish(&engine, job, writer, decided, more, None, harvest.tally).await
}

/// Fetches the pages and takes what they offer, until the job has as many candidates as it may.
async fn visit_all(
    engine: &Arc<Engine>,
    pages: Vec<PageLink>,
    site: &Site,
    sender: &SegmentSender,
    deadline: Instant,
) -> Result<Harvest, Error> {
    let closing = engine.options.stop.child_token();
    let mut harvest = Harvest::default();
    let mut tasks = JoinSet::new();
    for link in pages {
        tasks.spawn(visit(engine.clone(), link, site.clone(), closing.clone()));
    }
    loop {
        let visit = tokio::select! {
            visit = tasks.join_next() => visit,
            () = tokio::time::sleep_until(deadline), if harvest.tally.pages > 0 && !closing.is_cancelled() => {
                closing.cancel();
                continue;
            }
        };
        let Some(visit) = visit.transpose()? else { return Ok(harvest) };
        harvest.tally.learn(visit.traffic);
        let offers = visit.result.as_ref().map_or(0, |(page, _)| page.captions());
        let room = harvest.tally.pages == 0 || harvest.candidates.len() + offers <= engine.options.sizes.candidates;
        if visit.closed || !room {
            // A page that does not fit is fetched again by the next job; nothing was taken of it.
            closing.cancel();
            harvest.waiting.push(visit.link.url);
            continue;
        }
        harvest.tally.pages += 1;
        engine.meter.add(1);
        match visit.result {
            Ok((page, url)) => {
                let outcome = if page.directives.refusal.is_some() { OPTED_OUT } else { OK };
                harvest.decide(visit.link.url, outcome);
                take(engine, &mut harvest, page, &url, visit.link.depth, site, sender).await;
            }
            Err((outcome, detail)) => {
                if let Some(url) = Url::parse(&visit.link.url).ok().filter(|_| says_something(outcome)) {
                    engine.traps.learn(&url, false, &[]);
                }
                tracing::debug!(url = %visit.link.url, outcome, detail, "no page");
                harvest.decide(visit.link.url, outcome);
            }
        }
    }
}

/// Whether a page without fruit says something of its like: a server that is down, or a page that was not asked for, does not.
fn says_something(outcome: &str) -> bool {
    ![TRAP, REMOVED, OFF_SITE].contains(&outcome) && (outcome == HTTP_4XX || !FAILURES.contains(&outcome))
}

/// Fetches and reads one page.
async fn visit(engine: Arc<Engine>, link: PageLink, site: Site, closing: CancellationToken) -> Visit {
    let Ok(url) = Url::parse(&link.url) else {
        return Visit { link, result: Err((UNSAFE_ADDRESS, "not a web address".to_string())), closed: false, traffic: Traffic::new() };
    };
    if link.depth > 0 && engine.traps.is_closed(&url) {
        let result = Err((TRAP, "pages of this kind led nowhere".to_string()));
        return Visit { link, result, closed: false, traffic: Traffic::new() };
    }
    // What cannot be asked is not fetched.
    if !engine.removed().is_ok_and(|removed| removed.url(&link.url).is_none()) {
        let result = Err((REMOVED, "taken down".to_string()));
        return Visit { link, result, closed: false, traffic: Traffic::new() };
    }
    let is_map = url.fragment() == Some(SITEMAP);
    // Found under other rules; a larger --max-depth finds no more pages either.
    if link.depth > 0 && (link.depth > engine.options.max_depth || !is_map && site.rules.excludes(&url)) {
        let result = Err((OFF_SITE, "excluded, or deeper than --max-depth".to_string()));
        return Visit { link, result, closed: false, traffic: Traffic::new() };
    }
    let mut reply = engine.fetcher.get(&url, if is_map { Want::Sitemap } else { Want::Page }, &closing).await;
    let closed = matches!(reply.result, Err(Refusal::Closed));
    let result = match reply.result {
        Err(refusal) => Err(refusal.decision()),
        Ok(body) if is_map => read_map(body).await.ok_or_else(|| ("sitemap", "the reader failed".to_string())),
        // A seed may lead to its site's proper name; a later page that leads elsewhere is not ours to take. One that is where it was when
        // it was found belongs, though the rules of this run need not be those that found it.
        Ok(body) if link.depth > 0 && !site.has(&body.url) && body.url != url => Err((OFF_SITE, body.url.to_string())),
        Ok(body) => {
            let maps = if link.depth == 0 { engine.fetcher.sitemaps(&body.url, &mut reply.traffic).await } else { Vec::new() };
            let read = read(&engine, body, site).await;
            read.map(|(page, url)| (Page { maps, ..page }, url)).ok_or_else(|| ("html", "the parser failed".to_string()))
        }
    };
    engine.note(0, reply.traffic.values().map(|delta| delta.bytes).sum());
    Visit { link, result, closed, traffic: reply.traffic }
}

async fn read(engine: &Arc<Engine>, body: Body, site: Site) -> Option<(Page, Url)> {
    let engine = engine.clone();
    let read = move || {
        let kind = body.content_type.as_deref();
        let text = xhtml::as_html(charset::decode(&body.bytes, kind), kind);
        let reading = Reading { enough: engine.enough(), also: engine.fetcher.also_obeyed(), links: Some(&|link| site.has(link)) };
        (extract(&text, &body.url, body.directives.clone(), reading), body.url.clone())
    };
    on_pool(read).await
}

/// A sitemap as a page that has links only.
async fn read_map(body: Body) -> Option<(Page, Url)> {
    let read = move || {
        let Sitemap { pages, maps } = sitemap::read(&body.bytes);
        (Page { links: pages, maps, ..Page::default() }, body.url.clone())
    };
    on_pool(read).await
}

/// Takes a page's links and pairs into the harvest.
async fn take(engine: &Arc<Engine>, harvest: &mut Harvest, mut page: Page, url: &Url, depth: u32, site: &Site, sender: &SegmentSender) {
    page.links.retain(|link| site.has(link) && !is_media(link));
    // Where a sitemap lies says nothing of the pages it lists.
    page.maps.retain(|map| site.is_own(map) || site.has(map));
    let own = page.canonical.take().filter(|own| site.is_own(own) && site.has(own));
    if !page.directives.nofollow {
        page.links.extend(own.clone());
    }
    if depth < engine.options.max_depth {
        let links = page.links.iter().filter(|link| !engine.traps.is_closed(link)).map(page_address);
        let maps = page.maps.iter().map(|map| format!("{}#{SITEMAP}", canonical_url(map)));
        for url in links.chain(maps) {
            if harvest.known.insert(url.clone()) {
                harvest.links.push(PageLink { url, depth: depth + 1 });
            }
        }
    }
    let seen_before = harvest.tally.repeated();
    let offered = page.captions();
    let refusal = page.directives.refusal;
    if page.uncaptioned > 0 {
        *harvest.tally.outcomes.entry("image:no-caption".to_string()).or_default() += page.uncaptioned;
    }
    // The same page under many addresses is one.
    let page_url = recorded_address(url, own.as_ref());
    let source = format!("web:{}", site.host);
    let origin = Origin { page_url: &page_url, source: &source, found_ms: now_ms(), licence: &page.licence };
    for mut image in page.images {
        let (image_url, data) = match &mut image.place {
            Place::Url(url) => (canonical_url(url), None),
            Place::Data(bytes) => (format!("data:{}", ImageId::of(bytes)), Some(std::mem::take(bytes))),
        };
        let mut pairs = Vec::new();
        for candidate in candidates(image, &image_url, origin) {
            match engine.claim(candidate, &mut harvest.tally) {
                Some(mut candidate) => {
                    if let Some(why) = refusal.filter(|_| candidate.outcome.is_empty()) {
                        settle(&mut candidate, OPTED_OUT, &format!("page: {why}"));
                    }
                    pairs.push(candidate);
                }
                None => harvest.tally.count(REPEATED),
            }
        }
        if let Some(bytes) = data {
            store_data(engine, bytes, &mut pairs, sender).await;
        }
        harvest.candidates.extend(pairs);
    }
    let new_pair = harvest.tally.repeated() - seen_before < offered as u64;
    engine.traps.learn(url, new_pair, &page.links);
}

/// Decides the pairs of an image that came with its page: its bytes are at hand only now.
async fn store_data(engine: &Arc<Engine>, bytes: Vec<u8>, pairs: &mut Vec<Candidate>, sender: &SegmentSender) {
    let (mut inside, mut done): (Vec<Candidate>, Vec<Candidate>) = (Vec::new(), Vec::new());
    // A file that cannot be read stops the job where it asks next; nothing is taken until then.
    let removed = engine.removed();
    for mut pair in pairs.drain(..) {
        if !removed.as_ref().is_ok_and(|removed| removed.candidate(&pair).is_none()) {
            pair.take_down();
        }
        if pair.outcome.is_empty() && !engine.is_inside(&pair) {
            settle(&mut pair, FULL, "outside the cap");
        }
        if pair.outcome.is_empty() { inside.push(pair) } else { done.push(pair) }
    }
    if !inside.is_empty() {
        // A failed writer is reported when the job finishes.
        store(engine, bytes, &mut inside, sender).await;
    }
    pairs.extend(done.into_iter().chain(inside));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_a_host_with_its_port() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        let site = |text: &str| Site::of(&url(text), Arc::default());
        let (local, site) = (site("http://127.0.0.1:1/"), site("http://www.e.org/a"));
        assert!(site.has(&url("https://e.org/b")) && site.has(&url("http://www.e.org:80/")));
        assert!(!site.has(&url("http://e.org:8080/")) && !site.has(&url("http://i.e.org/")) && !site.has(&url("http://e.org.evil/")));
        assert!(!local.has(&url("http://127.0.0.1:2/")));
    }
}
