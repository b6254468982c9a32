//! Getting one URL politely: robots, guard, turns by host, redirects, caps, retries.
//!
//! Everything that `crawler` sends to the network goes through [`Fetcher`]. It knows nothing of pairs or jobs.

use crate::coding::{self, unpacked};
use crate::files::idle_time;
use crate::guard::{Guard, Resolver, is_private_host};
use crate::hosts::{GIVE_UP, Hosts, Rest};
use crate::optout::Directives;
use crate::origins::{Found, Origins};
use crate::refusal::{Failure, Sign, network, unreachable};
pub(crate) use crate::refusal::{NOT_HTML, Refusal};
use crate::retry::retry_after;
use crate::robots::Rules;
pub(crate) use crate::want::Want;
use crate::{CrawlOptions, Error};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, StatusCode};
use shards::{HostDelta, outcome};
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
/// Longest wait that is waited for; a host that asks for more is left alone until then.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Bodies above this size need one of [`LARGE_BODIES`] places, so that memory stays bounded whatever arrives.
const LARGE_BYTES: usize = 1 << 20;
/// Large bodies held at a time: 16 of at most 32 MiB, or 50 MiB for sitemaps.
const LARGE_BODIES: usize = 16;

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
    /// How long it asks to be left alone, though it answered.
    pub(crate) asked_for: Option<Duration>,
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

/// Makes requests. One for a whole crawl.
pub(crate) struct Fetcher {
    client: Client,
    guard: Guard,
    hosts: Hosts,
    origins: Origins,
    in_flight: Arc<Semaphore>,
    concurrency: usize,
    large: Arc<Semaphore>,
    timeout: Duration,
    retries: u32,
    backoff: Duration,
    /// Other crawlers' groups of `robots.txt` that hold for us where we are not named, lower case.
    also_obeyed: Vec<String>,
    /// Time for a URL with all its redirects and retries.
    longest: Duration,
    /// When it is cancelled, what is in flight is let go.
    drain: CancellationToken,
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
        let idle = idle_time(options.concurrency);
        let builder = || {
            let agent = match &options.contact {
                Some(contact) => format!("diptych/0.1 (+{contact})"),
                None => "diptych/0.1".to_string(),
            };
            Client::builder()
                .user_agent(agent)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                // Codings are ours to take off.
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate()
                // Servers that fold lines of a head, or leave blanks there, are read as browsers read them.
                .http1_allow_obsolete_multiline_headers_in_responses(true)
                .http1_allow_spaces_after_header_name_in_responses(true)
                .http1_ignore_invalid_headers_in_responses(true)
                // A proxy would resolve names behind the guard's back.
                .no_proxy()
                .dns_resolver(Resolver::system(guard))
                .connect_timeout(options.timeout.min(Duration::from_secs(10)))
                .pool_max_idle_per_host(options.host_connections.clamp(1, 64))
                .pool_idle_timeout(idle)
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
            origins: Origins::default(),
            in_flight: Arc::new(Semaphore::new(options.concurrency)),
            concurrency: options.concurrency,
            large: Arc::new(Semaphore::new(LARGE_BODIES)),
            timeout: options.timeout,
            retries: options.retries,
            backoff: options.backoff,
            longest: options.timeout.saturating_mul(options.retries.saturating_add(2)).saturating_add(2 * MAX_WAIT),
            drain: CancellationToken::new(),
            also_obeyed: options.also_obeyed(),
        })
    }

    /// Cancelled, it lets go of all that is in flight.
    pub(crate) fn drain(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Requests in flight, or arrived and in work.
    pub(crate) fn in_flight(&self) -> u64 {
        (self.concurrency - self.in_flight.available_permits()) as u64
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
        let refused = |refusal: &Refusal| refusal.is(outcome::ROBOTS) || refusal.is(outcome::OPTED_OUT);
        host.refused += u64::from(result.as_ref().is_err_and(refused));
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
        let (mut redirects, mut retries, mut closed, mut last) = (0, 0, false, None);
        // Time for this URL alone: waits for others' turns are not its own.
        let (begun, mut waited, mut has_begun) = (Instant::now(), Duration::ZERO, *attempts > 0);
        loop {
            self.guard.permit_url(&url)?;
            // Its own failure says more than the host's.
            self.unless_given_up(&url).map_err(|refusal| last.clone().unwrap_or(refusal))?;
            if begun.elapsed().saturating_sub(waited) > self.longest {
                let late = || Refusal::Because(outcome::TIMEOUT, format!("not there after {:?} of redirects and retries", self.longest));
                return Err(last.unwrap_or_else(late));
            }
            if !matches!(want, Want::Robots | Want::Answer) {
                self.ask_robots(&url, traffic).await?;
            }
            let since = Instant::now();
            let turn = async { (self.hosts.enter(&host_key(&url), has_begun).await, self.in_flight.clone().acquire_owned().await) };
            // What has begun goes on when a job closes, for a while: the next job would begin it anew, and get no further.
            let late = async {
                closing.cancelled().await;
                if has_begun {
                    tokio::time::sleep(MAX_WAIT).await;
                }
            };
            let turn = async {
                tokio::select! { biased; () = late => Err(Refusal::Closed), turn = turn => Ok(turn) }
            };
            let (turn, place) = unless_closing(&self.drain, turn).await??;
            let place = place.map_err(|_| Refusal::Closed)?;
            waited += since.elapsed();
            // Much may have become known of the host while this waited for its turn.
            self.unless_given_up(&url).map_err(|refusal| last.clone().unwrap_or(refusal))?;
            (*attempts, has_begun) = (*attempts + 1, true);
            let asked = Instant::now();
            let answer = unless_closing(&self.drain, self.request(&url, want, place, traffic)).await?;
            drop(turn);
            traffic.entry(host_key(&url)).or_default().millis += asked.elapsed().as_millis() as u64;
            if let Err(Failure { sign: Sign::Closed, .. }) = &answer
                && !std::mem::replace(&mut closed, true)
            {
                *attempts -= 1;
                continue;
            }
            self.learn(&url, &answer, asked);
            match answer {
                Ok(Answer::Body(body)) => return Ok(*body),
                Ok(Answer::Redirect(_)) if redirects == MAX_REDIRECTS => {
                    return Err(Refusal::Because(outcome::HTTP_4XX, format!("more than {MAX_REDIRECTS} redirects")));
                }
                Ok(Answer::Redirect(target)) => {
                    redirects += 1;
                    url = target;
                }
                Err(Failure { refusal, retry, .. }) => {
                    let wait = retry.map(|asked| asked.unwrap_or(self.backoff.saturating_mul(1 << retries.min(16)).min(MAX_WAIT)));
                    let Some(wait) = wait.filter(|wait| retries < self.retries && *wait <= MAX_WAIT) else { return Err(refusal) };
                    (retries, last) = (retries + 1, Some(refusal));
                    unless_closing(&self.drain, tokio::time::sleep(wait)).await?;
                }
            }
        }
    }

    /// Learns from an answer to what was asked at `asked` what it says of the host, and so of all its URLs.
    fn learn(&self, url: &Url, answer: &Result<Answer, Failure>, asked: Instant) {
        let host = host_key(url);
        match answer {
            Err(Failure { refusal: Refusal::Because(outcome, _), retry, sign }) => match sign {
                Sign::Silent | Sign::Closed => self.hosts.failed(&host, outcome, asked),
                Sign::Busy => self.hosts.asked_for(&host, retry.flatten(), self.backoff, MAX_WAIT, outcome, asked),
                Sign::Answers => self.hosts.answered(&host),
                Sign::Nothing => {}
            },
            _ => self.hosts.answered(&host),
        }
    }

    /// Refuses a URL of a host that is left alone because it does not answer, or asks for it.
    fn unless_given_up(&self, url: &Url) -> Result<(), Refusal> {
        let host = host_key(url);
        if let Some(outcome) = self.hosts.gave_up(&host) {
            return Err(Refusal::Because(outcome, format!("the host failed {GIVE_UP} times in a row")));
        }
        let asked = |rest: Rest| Refusal::Because(rest.outcome, format!("the host asks to be left alone for {} s", rest.length.as_secs()));
        self.hosts.rest(&host).map_or(Ok(()), |rest| Err(asked(rest)))
    }

    /// Other crawlers' names that hold for us where we are not named, lower case.
    pub(crate) fn also_obeyed(&self) -> &[String] {
        &self.also_obeyed
    }

    /// Whether `robots.txt` of the URL's origin lets us fetch it.
    async fn ask_robots(&self, url: &Url, traffic: &mut Traffic) -> Result<(), Refusal> {
        match self.rules(url, traffic).await {
            Found::Rules(rules) if !rules.allow(url) => Err(Refusal::Because(outcome::ROBOTS, "disallowed".to_string())),
            Found::Rules(rules) => match rules.opted_out(url) {
                Some(file) => Err(Refusal::Because(outcome::OPTED_OUT, file.to_string())),
                None => Ok(()),
            },
            // Asked no more because the crawl ends.
            Found::Unreachable(..) if self.drain.is_cancelled() => Err(Refusal::Closed),
            Found::Unreachable(outcome, why) => Err(Refusal::Because(outcome, why)),
        }
    }

    /// What `robots.txt` of the URL's origin says.
    async fn rules(&self, url: &Url, traffic: &mut Traffic) -> Found {
        let found = self.origins.rules(url, || async {
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
            Found::Unreachable(..) => Vec::new(),
        }
    }

    /// Asks for the files in which an origin says what may be done with it: `robots.txt`, and unless that closes the whole place to us,
    /// `ai.txt` and TDMRep's file.
    async fn fetch_robots(&self, url: &Url) -> (Found, Traffic) {
        let mut traffic = Traffic::new();
        let found = match self.side_file(url, "/robots.txt", &mut traffic).await {
            Ok(body) => Rules::parse(&body.bytes, AGENT, &self.also_obeyed),
            // A client error, or redirects without end, means that there are no rules (RFC 9309, 2.3.1.2 and 2.3.1.3).
            Err(refusal) if refusal.is(outcome::HTTP_4XX) => Rules::default(),
            Err(refusal) => return (unreachable(refusal), traffic),
        };
        let mut rules = found;
        if let Some(delay) = rules.delay {
            self.hosts.set_delay(&host_key(url), delay);
        }
        if rules.may_enter() {
            // A file that cannot be had says nothing.
            if let Ok(body) = self.side_file(url, "/ai.txt", &mut traffic).await {
                rules.read_ai_txt(&body.bytes, AGENT, &self.also_obeyed);
            }
            if let Ok(body) = self.side_file(url, "/.well-known/tdmrep.json", &mut traffic).await {
                rules.read_tdmrep(&body.bytes);
            }
        }
        (Found::Rules(Arc::new(rules)), traffic)
    }

    /// Fetches a file that speaks for the URL's whole origin.
    async fn side_file(&self, url: &Url, path: &str, traffic: &mut Traffic) -> Result<Body, Refusal> {
        let mut place = url.clone();
        place.set_path(path);
        place.set_query(None);
        // It goes first, as what has begun does: all others of the origin wait for it.
        self.follow(place, Want::Robots, &self.drain, &mut 1, traffic).await
    }

    /// Makes one request and reads its body.
    async fn request(&self, url: &Url, want: Want, place: OwnedSemaphorePermit, traffic: &mut Traffic) -> Result<Answer, Failure> {
        let deadline = Instant::now() + self.timeout;
        let host = traffic.entry(host_key(url)).or_default();
        host.requests += 1;
        let headers = [(ACCEPT, want.accept()), (ACCEPT_ENCODING, coding::ACCEPTED)];
        let request = headers.into_iter().fold(self.client.get(url.clone()), |request, (name, value)| request.header(name, value));
        let sent = request.send();
        let response = timeout_at(deadline, sent).await.map_err(|_| self.too_slow())?.map_err(|error| network(&error))?;
        let status = response.status();
        if let Some(target) = redirect_target(url, &response) {
            return Ok(Answer::Redirect(target.map_err(|why| Refusal::Because(outcome::HTTP_4XX, why))?));
        }
        if !status.is_success() {
            let again = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
            let retry = again.then(|| retry_after(response.headers()));
            let is_busy =
                matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) || matches!(retry, Some(Some(_)));
            return Err(Failure { refusal: Refusal::status(status), retry, sign: if is_busy { Sign::Busy } else { Sign::Answers } });
        }
        let directives = Directives::of_headers(response.headers(), AGENT, &self.also_obeyed);
        let content_type = response.headers().get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        match (want, directives.refusal, &content_type) {
            (Want::Image, Some(why), _) => return Err(Refusal::Because(outcome::OPTED_OUT, why.to_string()).into()),
            (Want::Page, _, Some(kind)) if !is_html(kind) => return Err(Refusal::Because(NOT_HTML, kind.clone()).into()),
            _ => {}
        }
        let asked_for = retry_after(response.headers());
        let codings = response.headers().get_all(CONTENT_ENCODING).iter();
        let codings: Vec<_> = codings.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        let (mut bytes, mut large) = self.read_body(response, want, deadline).await?;
        host.bytes += bytes.len() as u64;
        if !codings.is_empty() {
            // How large it becomes shows only when it is unpacked.
            if large.is_none() {
                large = self.large.clone().acquire_owned().await.ok();
            }
            bytes = unpacked(bytes, codings.join(","), want).await?;
            large = large.filter(|_| bytes.len() > LARGE_BYTES);
        }
        Ok(Answer::Body(Box::new(Body { url: url.clone(), bytes, content_type, directives, asked_for, _places: (place, large) })))
    }

    /// Reads a body up to the cap, as it comes.
    async fn read_body(
        &self,
        mut response: Response,
        want: Want,
        mut deadline: Instant,
    ) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Failure> {
        let max = want.max_bytes();
        let too_large = || Failure::from(Refusal::too_large(max));
        if want != Want::Robots && response.content_length().is_some_and(|length| length > max as u64) {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(response.content_length().map_or(0, |length| length.min(LARGE_BYTES as u64) as usize));
        let mut large = None;
        loop {
            let chunk = timeout_at(deadline, response.chunk()).await.map_err(|_| self.too_slow())?;
            // A body that is cut or wrongly packed is an answer all the same.
            let chunk = chunk.map_err(|error| Failure { sign: Sign::Answers, ..network(&error) })?;
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
        let why = format!("no complete answer within {:?}", self.timeout);
        Failure { refusal: Refusal::Because(outcome::TIMEOUT, why), retry: Some(None), sign: Sign::Silent }
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
        sum.millis += delta.millis;
    }
}

/// Host name, with the port if it is not the scheme's own.
pub(crate) fn host_key(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_suffix('.').unwrap_or(host);
    url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"))
}

async fn unless_closing<T>(closing: &CancellationToken, work: impl Future<Output = T>) -> Result<T, Refusal> {
    tokio::select! {
        biased;
        () = closing.cancelled() => Err(Refusal::Closed),
        done = work => Ok(done),
    }
}

/// Where a redirect leads, if the response is one.
fn redirect_target(url: &Url, response: &Response) -> Option<Result<Url, String>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    // Letters outside ASCII are UTF-8, or else Latin-1, as browsers take them.
    let bytes = location.as_bytes();
    let location = str::from_utf8(bytes).map_or_else(|_| bytes.iter().map(|&byte| byte as char).collect(), str::to_string);
    let target = crate::urls::web_url(Some(url), &location);
    Some(target.ok_or_else(|| format!("{} to something that is no web address, or too long", response.status())))
}

pub(crate) fn is_html(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "text/html" | "application/xhtml+xml" | "")
}
