//! Getting one URL politely: robots, guard, turns by host, redirects, caps, retries.
//!
//! Everything that `crawler` sends to the network goes through [`Fetcher`]. It knows nothing of pairs or jobs.

use crate::guard::{Guard, Refused, Resolver, is_private_host, refusal_in};
use crate::hosts::Hosts;
use crate::optout::Directives;
use crate::retry::retry_after;
use crate::robots::{self, Found, Rules};
use crate::{CrawlOptions, Error, sitemap};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, StatusCode};
use shards::HostDelta;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use url::Url;

/// Our product token in `robots.txt` and opt-outs, lower case.
pub(crate) const AGENT: &str = "diptych";
/// Redirects followed; browsers stop at 20, RFC 9309 asks for at least 5.
const MAX_REDIRECTS: u32 = 10;
/// Longest wait believed of `Retry-After`; a host that asks for more is not asked again in this job.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Bodies above this size need one of [`LARGE_BODIES`] places, so that memory stays bounded whatever arrives.
const LARGE_BYTES: usize = 1 << 20;
/// Large bodies held at a time: 16 of at most 32 MiB, or 50 MiB for sitemaps.
const LARGE_BODIES: usize = 16;

/// What is asked for; each kind has its own caps and conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// An HTML page of at most 4 MiB.
    Page,
    /// An image of at most 32 MiB.
    Image,
    /// A sitemap of at most 50 MiB.
    Sitemap,
    /// A service's answer to a program, of at most 8 MiB: its terms say what is allowed, not `robots.txt`.
    Answer,
    /// `robots.txt`: what exceeds its cap is cut off.
    Robots,
}

impl Want {
    /// Cap on the decompressed body.
    fn max_bytes(self) -> usize {
        match self {
            Want::Page => 4 << 20,
            Want::Image => 32 << 20,
            Want::Sitemap => sitemap::MAX_BYTES,
            Want::Answer => 8 << 20,
            Want::Robots => robots::MAX_BYTES,
        }
    }

    fn accept(self) -> &'static str {
        match self {
            Want::Page => "text/html,application/xhtml+xml;q=0.9",
            Want::Image => "image/jpeg,image/png,image/webp,image/gif,image/*;q=0.5,*/*;q=0.1",
            Want::Sitemap => "application/xml,text/xml,text/plain;q=0.5,*/*;q=0.1",
            Want::Answer => "application/json",
            Want::Robots => "text/plain,*/*;q=0.1",
        }
    }
}

/// Why something was not fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `robots.txt` disallows it, or could not be had.
    Robots(&'static str),
    /// Its owner opted out by the directive.
    OptOut(&'static str),
    /// The server's answer is no success.
    Http(String),
    /// The connection failed, was cut or took too long.
    Network(String),
    /// The address may not be connected to.
    Address(String),
    /// The body exceeds the cap.
    TooLarge(String),
    /// A page was asked for, something else came.
    NotHtml(String),
    /// The job closed before it was this one's turn: not decided.
    Closed,
}

impl Refusal {
    /// The word in a candidate's `outcome`.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Refusal::Robots(_) => "robots",
            Refusal::OptOut(_) => "opt-out",
            Refusal::Http(_) => "http",
            Refusal::Network(_) => "network",
            Refusal::Address(_) => "address",
            Refusal::TooLarge(_) => "too-large",
            Refusal::NotHtml(_) => "not-html",
            Refusal::Closed => "closed",
        }
    }

    /// The reason in words.
    pub(crate) fn detail(self) -> String {
        match self {
            Refusal::Robots(why) | Refusal::OptOut(why) => why.to_string(),
            Refusal::Http(why) | Refusal::Network(why) | Refusal::Address(why) | Refusal::TooLarge(why) | Refusal::NotHtml(why) => why,
            Refusal::Closed => String::new(),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Refusal::Address(refused.to_string())
    }
}

/// What arrived. Holds its places among the fetches in flight until it is dropped, so that work on it is bounded too.
pub(crate) struct Body {
    /// Where it was found, after redirects.
    pub(crate) url: Url,
    /// The decompressed bytes.
    pub(crate) bytes: Vec<u8>,
    /// The `Content-Type` header.
    pub(crate) content_type: Option<String>,
    /// What the headers say against use.
    pub(crate) directives: Directives,
    _places: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

/// What was learnt of hosts, by name.
pub(crate) type Traffic = BTreeMap<String, HostDelta>;

/// The result of a fetch with what it took.
pub(crate) struct Reply {
    pub(crate) result: Result<Body, Refusal>,
    /// Requests made, `robots.txt` not counted.
    pub(crate) attempts: u32,
    pub(crate) traffic: Traffic,
}

/// One response.
enum Answer {
    Body(Box<Body>),
    Redirect(Url),
}

/// Why a request failed, and when it may be made again.
struct Failure {
    refusal: Refusal,
    /// `None`: never. `Some(None)`: after our own wait. `Some(Some(wait))`: after the wait that the server asks for.
    retry: Option<Option<Duration>>,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure { refusal, retry: None }
    }
}

/// Makes requests. One for a whole crawl.
pub(crate) struct Fetcher {
    client: Client,
    guard: Guard,
    hosts: Hosts,
    robots: robots::Cache,
    in_flight: Arc<Semaphore>,
    large: Arc<Semaphore>,
    timeout: Duration,
    retries: u32,
    backoff: Duration,
}

impl Fetcher {
    /// Prepares a client after the options.
    ///
    /// # Errors
    /// `Client` when TLS or the client cannot be set up.
    pub(crate) fn new(options: &CrawlOptions) -> Result<Self, Error> {
        let guard = Guard { private: options.allow_private, public: options.contact.is_some() };
        // Another part of the process may have chosen a provider already; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            let agent = match &options.contact {
                Some(contact) => format!("diptych/0.1 (+{contact})"),
                None => "diptych/0.1".to_string(),
            };
            Client::builder()
                .user_agent(agent)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .retry(reqwest::retry::never())
                // A proxy would resolve names behind the guard's back.
                .no_proxy()
                .dns_resolver(Resolver::system(guard))
                .connect_timeout(options.timeout.min(Duration::from_secs(10)))
                .pool_max_idle_per_host(options.host_connections.clamp(1, 64))
                .pool_idle_timeout(Duration::from_secs(20))
        };
        let client = builder().build().or_else(|error| {
            // A machine without root certificates can still fetch over plain HTTP; TLS will fail by URL.
            tracing::warn!(%error, "no root certificates: https will not work");
            let tls = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
            builder().tls_backend_preconfigured(tls).build()
        });
        Ok(Fetcher {
            client: client.map_err(Error::Client)?,
            guard,
            hosts: Hosts::new(options.host_connections, options.host_rate),
            robots: robots::Cache::default(),
            in_flight: Arc::new(Semaphore::new(options.concurrency)),
            large: Arc::new(Semaphore::new(LARGE_BODIES)),
            timeout: options.timeout,
            retries: options.retries,
            backoff: options.backoff,
        })
    }

    /// Refuses a URL on the public internet when no contact is given.
    pub(crate) fn require_contact(&self, url: &Url) -> Result<(), Error> {
        if self.guard.public || is_private_host(url) {
            return Ok(());
        }
        Err(Error::Contact { host: url.host_str().unwrap_or_default().to_string() })
    }

    /// Starts no request to the URL's host for a while.
    pub(crate) fn pause(&self, url: &Url, pause: Duration) {
        self.hosts.hold(&host_key(url), pause);
    }

    /// Sets the least time between two requests to the URL's host, if that is more than the crawl's own.
    pub(crate) fn pace(&self, url: &Url, delay: Duration) {
        self.hosts.set_delay(&host_key(url), delay);
    }

    /// Fetches `url`. Once `closing` is cancelled no further request is begun, and the result is [`Refusal::Closed`].
    pub(crate) async fn get(&self, url: &Url, want: Want, closing: &CancellationToken) -> Reply {
        let mut traffic = Traffic::new();
        let mut attempts = 0;
        let result = self.follow(url.clone(), want, closing, &mut attempts, &mut traffic).await;
        let host = traffic.entry(host_key(url)).or_default();
        host.refused += u64::from(matches!(result, Err(Refusal::Robots(_) | Refusal::OptOut(_))));
        host.successes += u64::from(result.is_ok());
        for (name, delta) in &mut traffic {
            delta.host.clone_from(name);
        }
        Reply { result, attempts, traffic }
    }

    /// Follows redirects and makes retries until something is decided.
    async fn follow(
        &self,
        mut url: Url,
        want: Want,
        closing: &CancellationToken,
        attempts: &mut u32,
        traffic: &mut Traffic,
    ) -> Result<Body, Refusal> {
        let (mut redirects, mut retries) = (0, 0);
        loop {
            self.guard.permit_url(&url)?;
            if !matches!(want, Want::Robots | Want::Answer) {
                self.ask_robots(&url, traffic).await?;
            }
            let turn = async { (self.hosts.enter(&host_key(&url)).await, self.in_flight.clone().acquire_owned().await) };
            let (turn, place) = unless_closing(closing, turn).await?;
            let place = place.map_err(|_| Refusal::Closed)?;
            *attempts += 1;
            let answer = self.request(&url, want, place, traffic).await;
            drop(turn);
            match answer {
                Ok(Answer::Body(body)) => return Ok(*body),
                Ok(Answer::Redirect(_)) if redirects == MAX_REDIRECTS => {
                    return Err(Refusal::Http(format!("more than {MAX_REDIRECTS} redirects")));
                }
                Ok(Answer::Redirect(target)) => {
                    redirects += 1;
                    url = target;
                }
                Err(Failure { refusal, retry }) => {
                    let wait = retry.map(|asked| asked.unwrap_or(self.backoff.saturating_mul(1 << retries.min(16)).min(MAX_WAIT)));
                    let Some(wait) = wait.filter(|wait| retries < self.retries && *wait <= MAX_WAIT) else { return Err(refusal) };
                    retries += 1;
                    if retry.flatten().is_some() {
                        // Said by the host, so it holds for all its URLs.
                        self.hosts.hold(&host_key(&url), wait);
                    }
                    unless_closing(closing, tokio::time::sleep(wait)).await?;
                }
            }
        }
    }

    /// Whether `robots.txt` of the URL's origin lets us fetch it.
    async fn ask_robots(&self, url: &Url, traffic: &mut Traffic) -> Result<(), Refusal> {
        match self.rules(url, traffic).await {
            Found::Rules(rules) if rules.allow(url) => Ok(()),
            Found::Rules(_) => Err(Refusal::Robots("disallowed")),
            Found::Unreachable => Err(Refusal::Robots("robots.txt could not be had")),
        }
    }

    /// What `robots.txt` of the URL's origin says.
    async fn rules(&self, url: &Url, traffic: &mut Traffic) -> Found {
        let found = self.robots.rules(url, || async {
            let (found, learnt) = Box::pin(self.fetch_robots(url)).await;
            merge(traffic, learnt);
            found
        });
        found.await
    }

    /// The sitemaps that `robots.txt` of the URL's origin names.
    pub(crate) async fn sitemaps(&self, url: &Url, traffic: &mut Traffic) -> Vec<Url> {
        match self.rules(url, traffic).await {
            Found::Rules(rules) => rules.sitemaps.iter().filter_map(|place| crate::urls::web_url(Some(url), place)).collect(),
            Found::Unreachable => Vec::new(),
        }
    }

    async fn fetch_robots(&self, url: &Url) -> (Found, Traffic) {
        let mut place = url.clone();
        place.set_path("/robots.txt");
        place.set_query(None);
        let (mut attempts, mut traffic) = (0, Traffic::new());
        let result = self.follow(place, Want::Robots, &CancellationToken::new(), &mut attempts, &mut traffic).await;
        let found = match result {
            Ok(body) => Found::Rules(Arc::new(Rules::parse(&body.bytes, AGENT))),
            // A client error, or redirects without end, means that there are no rules (RFC 9309, 2.3.1.2 and 2.3.1.3).
            Err(Refusal::Http(why)) if !why.starts_with('5') => Found::Rules(Arc::default()),
            Err(_) => Found::Unreachable,
        };
        if let Found::Rules(rules) = &found
            && let Some(delay) = rules.delay
        {
            self.hosts.set_delay(&host_key(url), delay);
        }
        (found, traffic)
    }

    /// Makes one request and reads its body.
    async fn request(&self, url: &Url, want: Want, place: OwnedSemaphorePermit, traffic: &mut Traffic) -> Result<Answer, Failure> {
        let deadline = Instant::now() + self.timeout;
        let host = traffic.entry(host_key(url)).or_default();
        host.requests += 1;
        let sent = self.client.get(url.clone()).header(ACCEPT, want.accept()).send();
        let response = timeout_at(deadline, sent).await.map_err(|_| self.too_slow())?.map_err(|error| network(&error))?;
        let status = response.status();
        if let Some(target) = redirect_target(url, &response) {
            return Ok(Answer::Redirect(target.map_err(Refusal::Http)?));
        }
        if !status.is_success() {
            let again = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
            return Err(Failure { refusal: Refusal::Http(status.to_string()), retry: again.then(|| retry_after(response.headers())) });
        }
        let directives = Directives::of_headers(response.headers(), AGENT);
        let content_type = response.headers().get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        match (want, directives.refusal, &content_type) {
            (Want::Image, Some(why), _) => return Err(Refusal::OptOut(why).into()),
            (Want::Page, _, Some(kind)) if !is_html(kind) => return Err(Refusal::NotHtml(kind.clone()).into()),
            _ => {}
        }
        let (bytes, large) = self.read_body(response, want, deadline).await?;
        host.bytes += bytes.len() as u64;
        Ok(Answer::Body(Box::new(Body { url: url.clone(), bytes, content_type, directives, _places: (place, large) })))
    }

    /// Reads a body up to the cap, however it is compressed.
    async fn read_body(
        &self,
        mut response: Response,
        want: Want,
        mut deadline: Instant,
    ) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Failure> {
        let max = want.max_bytes();
        let too_large = || Failure::from(Refusal::TooLarge(format!("more than {max} bytes")));
        if want != Want::Robots && response.content_length().is_some_and(|length| length > max as u64) {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(response.content_length().map_or(0, |length| length.min(LARGE_BYTES as u64) as usize));
        let mut large = None;
        loop {
            let chunk = timeout_at(deadline, response.chunk()).await.map_err(|_| self.too_slow())?.map_err(|error| network(&error))?;
            let Some(chunk) = chunk else { return Ok((bytes, large)) };
            if bytes.len() + chunk.len() > max {
                if want == Want::Robots {
                    bytes.extend_from_slice(&chunk[..max - bytes.len()]);
                    return Ok((bytes, large));
                }
                return Err(too_large());
            }
            if large.is_none() && bytes.len() + chunk.len() > LARGE_BYTES {
                let waited = Instant::now();
                large = self.large.clone().acquire_owned().await.ok();
                // Waiting for our own memory is not the server's slowness.
                deadline += waited.elapsed();
            }
            bytes.extend_from_slice(&chunk);
        }
    }

    fn too_slow(&self) -> Failure {
        Failure { refusal: Refusal::Network(format!("no complete answer within {:?}", self.timeout)), retry: Some(None) }
    }
}

/// Adds what was learnt in one place to another.
pub(crate) fn merge(into: &mut Traffic, from: Traffic) {
    for (name, delta) in from {
        let sum = into.entry(name).or_default();
        sum.requests += delta.requests;
        sum.successes += delta.successes;
        sum.refused += delta.refused;
        sum.bytes += delta.bytes;
    }
}

/// Host name, with the port if it is not the scheme's own.
pub(crate) fn host_key(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"))
}

async fn unless_closing<T>(closing: &CancellationToken, work: impl Future<Output = T>) -> Result<T, Refusal> {
    tokio::select! {
        biased;
        () = closing.cancelled() => Err(Refusal::Closed),
        done = work => Ok(done),
    }
}

/// A client error as a refusal; anything but an unsafe address may be tried again.
fn network(error: &reqwest::Error) -> Failure {
    if let Some(refused) = refusal_in(error) {
        return Refusal::from(refused.clone()).into();
    }
    let mut words = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        // Causes often repeat each other.
        let text = error.to_string();
        if !words.contains(&text) {
            words = if words.is_empty() { text } else { format!("{words}: {text}") };
        }
        cause = error.source();
    }
    let words = if words.is_empty() { "the connection failed".to_string() } else { words };
    Failure { refusal: Refusal::Network(words), retry: Some(None) }
}

/// Where a redirect leads, if the response is one.
fn redirect_target(url: &Url, response: &Response) -> Option<Result<Url, String>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    let target = location.to_str().ok().and_then(|location| crate::urls::web_url(Some(url), location));
    Some(target.ok_or_else(|| format!("{} to something that is no web address", response.status())))
}

pub(crate) fn is_html(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "text/html" | "application/xhtml+xml" | "")
}
