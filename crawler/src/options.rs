//! What a crawl is asked to do, already resolved: no file is opened and no default is looked up later.

use crate::columns::Asked;
use crate::fetch::host_key;
use crate::guard::is_private_host;
use crate::search::UNREADABLE;
use crate::traps::TRAP;
use crate::{ArchiveKind, Rules, Service};
use shards::{Encoding, ResizeMode};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Where pairs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `web:URL`: the pages of one host, followed from this one.
    Web(Url),
    /// `warc:WHERE` or `wat:WHERE`: archives of the web. A file, a folder, a pattern, an `https://` or `s3://` address, a list of
    /// these (`.paths`, `.paths.gz`, `.txt`), or a crawl of Common Crawl by its name.
    Archive {
        /// What the archives hold.
        kind: ArchiveKind,
        /// Where they are.
        place: String,
    },
    /// `openverse:` or `commons:`, with another address after the colon if need be: pictures found by the words of queries.
    Search {
        /// Which service's protocol is spoken.
        service: Service,
        /// Where.
        endpoint: Url,
    },
    /// `urls:FILE` or `urls:FILE?url=COL&caption=COL`: a list in Parquet, CSV, TSV, JSON, JSON lines or text, packed or not; or a
    /// folder of lists, or a pattern that matches some.
    Urls {
        /// The file, folder or pattern.
        path: PathBuf,
        /// The column of image URLs, if not one of the usual names.
        url: Option<String>,
        /// The column of captions, if not one of the usual names.
        caption: Option<String>,
    },
}

impl FromStr for Source {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: String| crate::Error::Usage(format!("source {text:?}: {why}"));
        let (kind, place) = text.split_once(':').ok_or_else(|| bad("expected KIND:WHERE, such as web:URL or urls:FILE".to_string()))?;
        match kind {
            "web" => Ok(Source::Web(address(place).map_err(bad)?)),
            "openverse" | "commons" => {
                let service = if kind == "commons" { Service::Commons } else { Service::Openverse };
                let endpoint = address(if place.is_empty() { service.address() } else { place }).map_err(bad)?;
                Ok(Source::Search { service, endpoint })
            }
            "urls" => {
                let (path, url, caption) = split_columns(place);
                if path.is_empty() {
                    return Err(bad("expected a file".to_string()));
                }
                if path.contains("://") {
                    return Err(bad("lists are read from this machine: download it and name the file".to_string()));
                }
                Ok(Source::Urls { path: PathBuf::from(path), url, caption })
            }
            "warc" | "wat" if place.is_empty() => Err(bad("expected a file, folder, address or list".to_string())),
            "warc" => Ok(Source::Archive { kind: ArchiveKind::Warc, place: place.to_string() }),
            "wat" => Ok(Source::Archive { kind: ArchiveKind::Wat, place: place.to_string() }),
            _ => Err(bad(format!("unknown kind {kind:?}, expected web, urls, warc, wat, openverse or commons"))),
        }
    }
}

fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL ({error})"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user name or password would be kept in the corpus with the address; leave it out".to_string());
    }
    let is_web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    if is_web { Ok(url) } else { Err("expected an http or https URL".to_string()) }
}

/// Splits `FILE?url=COL&caption=COL`; a `?` that no known name follows belongs to the file name.
fn split_columns(place: &str) -> (&str, Option<String>, Option<String>) {
    let whole = (place, None, None);
    let Some((path, query)) = place.rsplit_once('?') else { return whole };
    let (mut url, mut caption) = (None, None);
    for part in query.split('&') {
        match part.split_once('=') {
            Some(("url", column)) => url = Some(column.to_string()),
            Some(("caption", column)) => caption = Some(column.to_string()),
            _ => return whole,
        }
    }
    (path, url, caption)
}

/// When a job is large enough. What is left of it becomes a new job in the same commit.
#[derive(Clone, Copy, Debug)]
pub struct JobSizes {
    /// Pages of a job.
    pub pages: usize,
    /// Candidates of a job, at most 10,000 because keys have four digits for them.
    pub candidates: usize,
    /// Bytes of a segment's tar at which its job closes.
    pub bytes: u64,
    /// Time after which a job closes.
    pub time: Duration,
}

impl Default for JobSizes {
    /// 200 pages, 10,000 candidates, 512 MiB, 2 minutes: what a crash may cost at most.
    fn default() -> Self {
        JobSizes { pages: 200, candidates: 10_000, bytes: 512 << 20, time: Duration::from_secs(120) }
    }
}

/// Everything a crawl is told.
#[derive(Clone, Debug)]
pub struct CrawlOptions {
    /// The corpus folder.
    pub corpus: PathBuf,
    /// Where pairs come from.
    pub sources: Vec<Source>,
    /// Side of stored images in pixels; what it means follows from the mode.
    pub image_size: u32,
    /// How images are brought to that size.
    pub resize_mode: ResizeMode,
    /// Whether images smaller than that keep their size; img2dataset's `resize_only_if_bigger`.
    pub resize_only_if_bigger: bool,
    /// Format and quality of stored images.
    pub encoding: Encoding,
    /// Whether images of that format that need no resizing are stored as they came.
    pub skip_reencode: bool,
    /// Images with a shorter side than this, in pixels, are refused.
    pub min_image_size: u32,
    /// Images of more pixels than this are refused.
    pub max_image_area: Option<u64>,
    /// Images whose longer side is more than this many times the shorter are refused.
    pub max_aspect_ratio: Option<f64>,
    /// The column of URL lists that has the hash of an image's bytes; those with another are refused.
    pub verify_hash: Option<String>,
    /// Address in the User-Agent: a mail address or a page about the crawl. Required for public hosts.
    pub contact: Option<String>,
    /// Whether loopback and private addresses may be asked.
    pub allow_private: bool,
    /// Connections to one host at a time; 0 means no limit.
    pub host_connections: usize,
    /// Requests to one host a second; 0 means no limit.
    pub host_rate: f64,
    /// Which pages of the live web belong to the crawl.
    pub rules: Arc<Rules>,
    /// Pages of a web source in all, rows of a URL list, files of archives.
    pub limit: Option<u64>,
    /// Pages of the live web that one host is asked for at most, over all sources and runs; 0 means no limit.
    pub host_pages: u64,
    /// Fetches in flight over all hosts.
    pub concurrency: usize,
    /// Links followed from a seed at most.
    pub max_depth: u32,
    /// Time for one request with its body.
    pub timeout: Duration,
    /// Times that a request is made again after a network error, 429 or 5xx.
    pub retries: u32,
    /// Wait before the first retry; it doubles with each, and the server's `Retry-After` goes before it.
    pub backoff: Duration,
    /// Jobs in work at a time.
    pub jobs: usize,
    /// Other crawlers' groups of `robots.txt` that are obeyed where we are not named.
    pub obey_groups: Vec<String>,
    /// Outcomes whose candidates are decided anew (see [`shards::outcome::can_retry`]), `full` ones only if they are inside now, and whose
    /// pages go back to the frontier (`trap` and `unreadable` too).
    pub retry: Vec<String>,
    /// When it is cancelled, nothing more is begun, what is in flight is given [`DRAIN`], and the crawl returns with its work recorded.
    pub stop: CancellationToken,
    /// Where figures are served in the form that Prometheus reads.
    pub metrics: Option<SocketAddr>,
    /// When a job is large enough.
    pub sizes: JobSizes,
}

/// Outcomes of pages alone that may be tried again: closed as a place without end, and no answer that can be read.
const PAGE_WORDS: [&str; 2] = [TRAP, UNREADABLE];

/// Time that fetches in flight are given when a crawl is stopped.
pub const DRAIN: Duration = Duration::from_secs(3);

/// Collectors of text and pictures for training: who closes a place to them means us too.
pub const OBEYED_GROUPS: [&str; 4] = ["CCBot", "GPTBot", "Google-Extended", "img2dataset"];

impl CrawlOptions {
    /// The defaults for a corpus folder and its sources.
    pub fn new(corpus: impl Into<PathBuf>, sources: Vec<Source>) -> Self {
        CrawlOptions {
            corpus: corpus.into(),
            sources,
            image_size: 256,
            resize_mode: ResizeMode::KeepRatio,
            resize_only_if_bigger: true,
            encoding: Encoding::Jpeg(95),
            skip_reencode: false,
            min_image_size: 0,
            max_image_area: None,
            max_aspect_ratio: None,
            verify_hash: None,
            contact: None,
            allow_private: false,
            host_connections: 4,
            host_rate: 10.0,
            rules: Arc::default(),
            limit: None,
            host_pages: 10_000,
            concurrency: 256,
            max_depth: 100,
            timeout: Duration::from_secs(30),
            retries: 2,
            backoff: Duration::from_secs(1),
            jobs: 4,
            obey_groups: OBEYED_GROUPS.map(String::from).to_vec(),
            retry: Vec::new(),
            stop: CancellationToken::new(),
            metrics: None,
            sizes: JobSizes::default(),
        }
    }

    /// The groups that are obeyed, as they are compared.
    pub(crate) fn also_obeyed(&self) -> Vec<String> {
        self.obey_groups.iter().map(|name| name.to_ascii_lowercase()).collect()
    }

    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// `Usage` with the flag and its value.
    pub fn check(&self) -> Result<(), crate::Error> {
        let usage = |why: String| Err(crate::Error::Usage(why));
        if self.sources.is_empty() && self.retry.is_empty() {
            return usage("no --source is given".to_string());
        }
        let can_retry = |word: &str| shards::outcome::can_retry(word) || PAGE_WORDS.contains(&word);
        if let Some(word) = self.retry.iter().find(|word| !can_retry(word)) {
            let known: Vec<&str> = shards::outcome::ALL.into_iter().chain(PAGE_WORDS).filter(|word| can_retry(word)).collect();
            return usage(format!("--retry {word:?} is not one of {}", known.join(", ")));
        }
        if self.max_aspect_ratio.is_some_and(|ratio| ratio.is_nan() || ratio < 1.0) {
            return usage("--max-aspect-ratio must be at least 1".to_string());
        }
        if self.timeout.is_zero() {
            return usage("--timeout 0 leaves no time for an answer".to_string());
        }
        if self.limit == Some(0) {
            return usage("--limit 0 leaves nothing to do".to_string());
        }
        if !self.host_rate.is_finite() || self.host_rate < 0.0 {
            return usage(format!("--host-rate {} is not a number of requests a second", self.host_rate));
        }
        if self.image_size == 0 || self.image_size > 65_535 {
            return usage(format!("--image-size {} is not between 1 and 65535", self.image_size));
        }
        let sizes = &self.sizes;
        if sizes.candidates == 0 || sizes.candidates > 10_000 {
            return usage(format!("--number-sample-per-shard {} is not between 1 and 10000", sizes.candidates));
        }
        if self.concurrency == 0 {
            return usage("--concurrency 0 leaves nothing that may be fetched: it must be at least 1".to_string());
        }
        if sizes.pages == 0 || self.jobs == 0 {
            return usage("there must be at least 1 job, and 1 page in each".to_string());
        }
        match &self.contact {
            Some(contact) if contact.is_empty() || !contact.chars().all(|c| c.is_ascii_graphic() || c == ' ') => {
                usage(format!("--contact {contact:?} is not plain ASCII text"))
            }
            Some(contact) if !is_contact(contact.trim()) => {
                usage(format!("--contact {contact:?} is neither a mail address nor the http(s) address of a page about the crawl"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses lists that are not there or cannot be read, before anything is made for them.
    ///
    /// # Errors
    /// `List` with the path.
    pub fn check_lists(&self) -> Result<(), crate::Error> {
        self.sources.iter().try_for_each(|source| match source {
            Source::Urls { path, url, caption } => {
                let asked = Asked { url: url.as_deref(), caption: caption.as_deref(), hash: self.verify_hash.as_deref() };
                crate::lists::check(path, asked)
            }
            _ => Ok(()),
        })
    }

    /// Refuses a public seed without a contact; lists are checked row by row when they are planned.
    ///
    /// # Errors
    /// `Contact` with the host.
    pub fn check_contact(&self) -> Result<(), crate::Error> {
        self.sources.iter().try_for_each(|source| match source {
            Source::Web(url) | Source::Search { endpoint: url, .. } => self.check_host(url),
            Source::Urls { .. } | Source::Archive { .. } => Ok(()),
        })
    }

    /// Refuses a public host without a contact.
    pub(crate) fn check_host(&self, url: &Url) -> Result<(), crate::Error> {
        if self.contact.is_some() || is_private_host(url) { Ok(()) } else { Err(crate::Error::Contact { host: host_key(url) }) }
    }
}

/// Whether a host's owner could write to it, or read there.
fn is_contact(text: &str) -> bool {
    let mail = text.strip_prefix("mailto:").unwrap_or(text).split_once('@');
    address(text).is_ok() || mail.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !text.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read() {
        assert_eq!("web:http://e.org/a".parse::<Source>().expect("a source"), Source::Web(Url::parse("http://e.org/a").expect("a URL")));
        let urls = |path: &str, url: Option<&str>, caption: Option<&str>| Source::Urls {
            path: path.into(),
            url: url.map(String::from),
            caption: caption.map(String::from),
        };
        assert_eq!("urls:/a/b.csv".parse::<Source>().expect("a source"), urls("/a/b.csv", None, None));
        assert_eq!("urls:b.csv?url=u&caption=c".parse::<Source>().expect("a source"), urls("b.csv", Some("u"), Some("c")));
        assert_eq!("urls:why?.csv".parse::<Source>().expect("a source"), urls("why?.csv", None, None));
        let wat = Source::Archive { kind: ArchiveKind::Wat, place: "s3://commoncrawl/wat.paths.gz".to_string() };
        assert_eq!("wat:s3://commoncrawl/wat.paths.gz".parse::<Source>().expect("a source"), wat);
        let search = "openverse:".parse::<Source>().expect("a source");
        assert!(matches!(&search, Source::Search { endpoint, .. } if endpoint.host_str() == Some("api.openverse.org")));
        let local = "commons:http://127.0.0.1:1/w/api.php".parse::<Source>().expect("a source");
        assert!(matches!(&local, Source::Search { service: Service::Commons, endpoint } if endpoint.path() == "/w/api.php"));
        for bad in ["", "web", "web:http://user:secret@e.org/", "commons:x", "web:ftp://e.org/", "web:nothing", "urls:", "wat:", "wet:x"] {
            assert!(bad.parse::<Source>().expect_err(bad).is_usage());
        }
    }

    #[test]
    fn numbers_out_of_range_are_named_by_their_flags() {
        let options = CrawlOptions::new("c", vec![Source::Web(Url::parse("http://e.org").expect("a URL"))]);
        let refused = |change: fn(&mut CrawlOptions)| {
            let mut options = options.clone();
            change(&mut options);
            options.check().expect_err("refused").to_string()
        };
        assert!(refused(|options| options.concurrency = 0).contains("--concurrency 0"));
        for text in [refused(|options| options.sizes.candidates = 0), refused(|options| options.sizes.candidates = 10_001)] {
            assert!(text.contains("--number-sample-per-shard"), "{text}");
        }
    }

    #[test]
    fn contact_must_fit_a_header() {
        let mut options = CrawlOptions::new("c", vec![Source::Web(Url::parse("http://e.org").expect("a URL"))]);
        options.check().expect("fine");
        options.contact = Some("a@b\r\nX-Evil: 1".to_string());
        assert!(options.check().expect_err("refused").to_string().contains("--contact"));
        for nobody in ["", " ", "x", "none", "@", "a b@c", "ftp://e.org/"] {
            options.contact = Some(nobody.to_string());
            assert!(options.check().expect_err(nobody).to_string().contains("--contact"));
        }
        for somebody in ["a@b", "mailto:a@b.org", "https://e.org/crawl"] {
            options.contact = Some(somebody.to_string());
            options.check().expect(somebody);
        }
    }
}
