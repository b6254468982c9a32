//! Where an archive lies: a file, a web server, an object store; and lists and folders of such places.
//!
//! Whatever it is, it is read as a stream from an offset. A connection that is cut is taken up again where it was.

use crate::guard::{Guard, Resolver, is_private_host};
use crate::{CrawlOptions, Error};
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::{GetOptions, GetRange, ObjectStore};
use reqwest::header::RANGE;
use reqwest::{Client, Response, StatusCode};
use std::fs::File;
use std::io::{BufRead, BufReader, Error as IoError, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Common Crawl's server, for lists and names that do not say where they belong.
const COMMON_CRAWL: &str = "https://data.commoncrawl.org/";
/// Times in a row that a connection may be cut without bringing anything.
const ATTEMPTS: u32 = 5;
/// Wait before the second of them; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 1000 });
/// Silence after which a connection counts as cut.
const SILENCE: Duration = Duration::from_secs(60);
/// Redirects followed.
const MAX_REDIRECTS: usize = 5;
/// Bytes of a file that are received for nothing, at most, where a server gives no part of it.
const MAX_PASSED: u64 = 4 << 30;
/// Places in a list, and bytes of it: Common Crawl's have 100,000 lines in 14 MB.
const MAX_PLACES: usize = 1_000_000;
const MAX_LIST: u64 = 256 << 20;
/// Folders within each other that are looked into.
const MAX_NESTING: usize = 16;

/// One thing that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file.
    File(PathBuf),
    /// `http://` or `https://`.
    Web(Url),
    /// `s3://` or `gs://`.
    Store(Url),
}

impl Place {
    /// Reads an address, or a path.
    pub(crate) fn parse(text: &str) -> Place {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => Place::Web(url),
            Ok(url) if matches!(url.scheme(), "s3" | "gs") => Place::Store(url),
            _ => Place::File(PathBuf::from(text)),
        }
    }

    /// What a line of a list that lies here names: an address, a path beside the list, or a path of a server.
    fn line(&self, line: &str) -> Place {
        match (Place::parse(line), self) {
            (Place::File(path), Place::File(list)) => {
                let beside = list.parent().unwrap_or(Path::new("")).join(&path);
                if path.is_absolute() || beside.exists() || !line.starts_with("crawl-data/") {
                    return Place::File(beside);
                }
                Place::parse(&format!("{COMMON_CRAWL}{line}"))
            }
            // Common Crawl's lists begin at the root of the server they lie on, wherever they lie on it.
            (Place::File(_), Place::Web(list)) => list.join("/").and_then(|root| root.join(line)).map_or_else(|_| self.clone(), Place::Web),
            (Place::File(_), Place::Store(list)) => {
                let mut url = list.clone();
                url.set_path(line);
                Place::Store(url)
            }
            (place, _) => place,
        }
    }

    /// Whether it is an address that looks like a folder or a pattern.
    pub(crate) fn is_many(&self) -> bool {
        matches!(self, Place::Web(url) | Place::Store(url) if url.path().ends_with('/') || url.path().contains(['*', '[']))
    }

    /// Whether its name says that it is packed.
    pub(crate) fn is_packed(&self) -> bool {
        self.name().ends_with(".gz")
    }

    /// The last part of its name.
    fn name(&self) -> &str {
        match self {
            Place::File(path) => path.file_name().and_then(|name| name.to_str()).unwrap_or_default(),
            Place::Web(url) | Place::Store(url) => url.path().rsplit('/').next().unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::File(path) => path.display().fmt(f),
            Place::Web(url) | Place::Store(url) => url.fmt(f),
        }
    }
}

/// Opens places. Its methods block, and must be called where tokio's runtime is at hand but does not run.
pub(crate) struct Places {
    client: Client,
    guard: Guard,
    given_up: CancellationToken,
}

impl Places {
    /// Prepares a client after the options.
    ///
    /// # Errors
    /// `Client` when TLS or the client cannot be set up.
    pub(crate) fn new(options: &CrawlOptions) -> Result<Self, Error> {
        let guard = Guard { private: options.allow_private, public: options.contact.is_some() };
        // Another part of the process may have chosen a provider already; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let redirects = reqwest::redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if let Err(refused) = guard.permit_url(attempt.url()) {
                attempt.error(refused)
            } else {
                attempt.follow()
            }
        });
        let agent = options.contact.as_ref().map_or_else(|| "diptych/0.1".to_string(), |contact| format!("diptych/0.1 (+{contact})"));
        let builder = || {
            // The bytes as they lie there: a .gz file must arrive as one.
            let builder = Client::builder().user_agent(agent.clone()).no_gzip().no_brotli().no_deflate();
            builder.no_proxy().dns_resolver(Resolver::system(guard)).connect_timeout(Duration::from_secs(10)).read_timeout(SILENCE)
        };
        let client = builder().redirect(redirects).build().or_else(|error| {
            tracing::warn!(%error, "no root certificates: https will not work");
            let tls = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
            builder().redirect(reqwest::redirect::Policy::none()).tls_backend_preconfigured(tls).build()
        });
        Ok(Places { client: client.map_err(Error::Client)?, guard, given_up: CancellationToken::new() })
    }

    /// Lets whoever waits for bytes from elsewhere, now or later, wait no more: all get an error.
    pub(crate) fn give_up(&self) {
        self.given_up.cancel();
    }

    /// Whether errors may come of [`Places::give_up`].
    pub(crate) fn has_given_up(&self) -> bool {
        self.given_up.is_cancelled()
    }

    /// Opens a place at an offset.
    ///
    /// # Errors
    /// `Missing` when there is nothing there, `Archive` when it cannot be read, `Contact` for a public server without one.
    pub(crate) fn open(&self, place: &Place, offset: u64) -> Result<Box<dyn Read + Send>, Error> {
        match place {
            Place::File(path) => {
                let mut file = File::open(path).map_err(|error| broken(place, &error))?;
                file.seek(SeekFrom::Start(offset)).map_err(|error| broken(place, &error))?;
                Ok(Box::new(file))
            }
            Place::Web(url) => {
                if !self.guard.public && !is_private_host(url) {
                    return Err(Error::Contact { host: url.host_str().unwrap_or_default().to_string() });
                }
                self.guard.permit_url(url).map_err(|refused| Error::Archive { place: place.to_string(), why: refused.to_string() })?;
                let mut stream = WebStream {
                    client: self.client.clone(),
                    given_up: self.given_up.clone(),
                    url: url.clone(),
                    offset,
                    response: None,
                    chunk: Vec::new(),
                    at: 0,
                };
                stream.connect().map_err(|error| broken(place, &error))?;
                Ok(Box::new(stream))
            }
            Place::Store(url) => {
                let failed = |error: object_store::Error| match error {
                    object_store::Error::NotFound { .. } => Error::Missing { place: place.to_string() },
                    error => Error::Archive { place: place.to_string(), why: error.to_string() },
                };
                // Keys and regions as all programs of object stores take them.
                let variables = std::env::vars().filter(|(name, _)| name.starts_with("AWS_") || name.starts_with("GOOGLE_"));
                let (store, path) = object_store::parse_url_opts(url, variables).map_err(failed)?;
                let options = GetOptions { range: (offset > 0).then_some(GetRange::Offset(offset)), ..GetOptions::default() };
                let answer = wait(&self.given_up, store.get_opts(&path, options)).map_err(|error| broken(place, &error))?;
                let stream = answer.map_err(failed)?.into_stream().map(|bytes| bytes.map(Vec::from).map_err(IoError::other)).boxed();
                Ok(Box::new(StoreStream { _store: store, given_up: self.given_up.clone(), stream, chunk: Vec::new(), at: 0 }))
            }
        }
    }

    /// The places that `text` names: itself; the files of a folder that end in one of `endings`; the files that a pattern with `*`, `?`
    /// or `[]` matches; the lines of a list (`.paths`, `.paths.gz`, `.txt`); or, as `CC-MAIN-YYYY-WW`, all files of `kind` of a
    /// crawl of Common Crawl. In the order of their names, but for lists.
    ///
    /// # Errors
    /// As `open`, and `Archive` when there is no file.
    pub(crate) fn expand(&self, text: &str, kind: &str, endings: &[&str]) -> Result<Vec<Place>, Error> {
        let place = match text.strip_prefix("CC-MAIN-") {
            Some(week) if week.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && !Path::new(text).exists() => {
                Place::parse(&format!("{COMMON_CRAWL}crawl-data/{text}/{kind}.paths.gz"))
            }
            _ => Place::parse(text),
        };
        if let Place::File(path) = &place {
            let mut files = if path.is_dir() {
                let mut files = Vec::new();
                walk(path, endings, 0, &mut files).map_err(|error| broken(&place, &error))?;
                files
            } else if !path.exists() && text.contains(['*', '?', '[']) {
                let pattern = glob::glob(text).map_err(|error| Error::Usage(format!("{text}: {error}")))?;
                pattern.filter_map(Result::ok).filter(|path| path.is_file()).collect()
            } else {
                Vec::new()
            };
            if files.is_empty() && !path.is_file() {
                let why = if path.is_dir() {
                    format!("it holds no file ending in {}", endings.join(", "))
                } else {
                    "there is no such file".to_string()
                };
                return Err(Error::Archive { place: text.to_string(), why });
            }
            if !files.is_empty() {
                files.sort();
                return Ok(files.into_iter().map(Place::File).collect());
            }
        }
        let name = place.name().trim_end_matches(".gz");
        if name.ends_with(".paths") || name.ends_with(".txt") {
            return self.read_list(&place);
        }
        Ok(vec![place])
    }

    fn read_list(&self, list: &Place) -> Result<Vec<Place>, Error> {
        let mut input = BufReader::new(self.open(list, 0)?);
        let packed = input.fill_buf().map_err(|error| broken(list, &error))?.starts_with(&[0x1f, 0x8b]);
        let input: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) };
        let mut places = Vec::new();
        for line in BufReader::new(input.take(MAX_LIST)).lines() {
            let line = line.map_err(|error| broken(list, &error))?;
            if !line.trim().is_empty() && places.len() < MAX_PLACES {
                places.push(list.line(line.trim()));
            }
        }
        Ok(places)
    }
}

/// Blocks until the answer is there, or until it is of no more use: the runtime may end then, and must not under our feet.
fn wait<T>(given_up: &CancellationToken, answer: impl Future<Output = T>) -> std::io::Result<T> {
    Handle::current().block_on(async {
        tokio::select! {
            () = given_up.cancelled() => Err(IoError::other("the crawl ended before it was read")),
            answer = answer => Ok(answer),
        }
    })
}

fn broken(place: &Place, error: &IoError) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::Missing { place: place.to_string() },
        _ => Error::Archive { place: place.to_string(), why: error.to_string() },
    }
}

/// The files below a folder that have one of the endings.
fn walk(folder: &Path, endings: &[&str], nesting: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && nesting < MAX_NESTING {
            walk(&path, endings, nesting + 1, files)?;
        } else if path.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
            files.push(path);
        }
    }
    Ok(())
}

/// A file on a web server.
struct WebStream {
    client: Client,
    given_up: CancellationToken,
    url: Url,
    /// Offset of the next byte to arrive.
    offset: u64,
    response: Option<Response>,
    chunk: Vec<u8>,
    at: usize,
}

impl WebStream {
    /// Asks for the rest of the file, several times if need be.
    fn connect(&mut self) -> std::io::Result<()> {
        let mut pause = FIRST_WAIT;
        for attempt in 1.. {
            let asked = self.ask();
            match asked {
                Ok(()) => return Ok(()),
                Err(error) if attempt == ATTEMPTS || self.given_up.is_cancelled() || error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(error);
                }
                Err(error) => tracing::debug!(url = %self.url, %error, "asked again"),
            }
            wait(&self.given_up, tokio::time::sleep(pause))?;
            pause *= 2;
        }
        Ok(())
    }

    fn ask(&mut self) -> std::io::Result<()> {
        let mut request = self.client.get(self.url.clone());
        if self.offset > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.offset));
        }
        let response = wait(&self.given_up, request.send())?.map_err(words)?;
        let status = response.status();
        match status {
            StatusCode::OK if self.offset > 0 => self.pass_by(response),
            StatusCode::RANGE_NOT_SATISFIABLE if self.offset > 0 => {
                // At the end already.
                self.response = None;
                Ok(())
            }
            status if status.is_success() => {
                self.response = Some(response);
                Ok(())
            }
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => {
                Err(IoError::new(std::io::ErrorKind::NotFound, status.to_string()))
            }
            status => Err(IoError::other(status.to_string())),
        }
    }

    /// Receives what is before our place too, from a server that gives whole files only.
    fn pass_by(&mut self, mut response: Response) -> std::io::Result<()> {
        if self.offset > MAX_PASSED {
            return Err(IoError::other("the server gives no part of the file (it ignores Range), and it is too long to be read anew"));
        }
        tracing::warn!(url = %self.url, bytes = self.offset, "the server ignores Range: read from the beginning to go on");
        let mut left = self.offset;
        while let Some(bytes) = wait(&self.given_up, response.chunk())?.map_err(words)? {
            if bytes.len() as u64 > left {
                (self.chunk, self.at) = (Vec::from(bytes), left as usize);
                self.offset += self.chunk.len() as u64 - left;
                break;
            }
            left -= bytes.len() as u64;
        }
        self.response = Some(response);
        Ok(())
    }
}

/// An error with its causes: the client's own words say little.
fn words(error: reqwest::Error) -> IoError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    IoError::other(text)
}

impl Read for WebStream {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.chunk.len() {
            let Some(response) = &mut self.response else { return Ok(0) };
            match wait(&self.given_up, response.chunk())? {
                Ok(Some(bytes)) => {
                    self.offset += bytes.len() as u64;
                    (self.chunk, self.at) = (Vec::from(bytes), 0);
                }
                Ok(None) => self.response = None,
                Err(error) => {
                    tracing::debug!(url = %self.url, %error, "taken up again");
                    self.connect()?;
                }
            }
        }
        Ok(hand_out(&self.chunk, &mut self.at, out))
    }
}

/// A file in an object store, whose client takes up cut connections itself.
struct StoreStream {
    _store: Box<dyn ObjectStore>,
    given_up: CancellationToken,
    stream: BoxStream<'static, std::io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
}

impl Read for StoreStream {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.chunk.len() {
            match wait(&self.given_up, self.stream.next())? {
                Some(bytes) => (self.chunk, self.at) = (bytes?, 0),
                None => return Ok(0),
            }
        }
        Ok(hand_out(&self.chunk, &mut self.at, out))
    }
}

fn hand_out(chunk: &[u8], at: &mut usize, out: &mut [u8]) -> usize {
    let count = out.len().min(chunk.len() - *at);
    out[..count].copy_from_slice(&chunk[*at..*at + count]);
    *at += count;
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    fn options() -> CrawlOptions {
        let mut options = CrawlOptions::new("unused", Vec::new());
        options.allow_private = true;
        options
    }

    /// Serves `body` under every path, cut after `most` bytes of each answer; gives its address and the heads of the requests.
    fn serve(body: Vec<u8>, most: usize) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let log = heads.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read(&mut byte).unwrap_or(0) == 0 {
                        break;
                    }
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
                let from = head
                    .split("range: bytes=")
                    .nth(1)
                    .filter(|_| !head.contains("/whole"))
                    .and_then(|text| text.split('-').next()?.parse::<usize>().ok());
                let rest = body.get(from.unwrap_or(0)..).unwrap_or_default();
                let status = match from {
                    _ if head.contains("missing") => "404 Not Found",
                    Some(_) if rest.is_empty() => "416 Range Not Satisfiable",
                    Some(_) => "206 Partial Content",
                    None => "200 OK",
                };
                let range = from.map_or(String::new(), |from| format!("Content-Range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len()));
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{range}ETag: \"a\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n",
                    rest.len()
                );
                let _ = stream.write_all(&rest[..rest.len().min(most)]);
                log.lock().expect("no panic").push(head);
            }
        });
        (address, heads)
    }

    /// Runs blocking work beside a runtime, as jobs do.
    fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(async { tokio::task::spawn_blocking(work).await }).expect("no panic")
    }

    fn text(mut input: Box<dyn Read + Send>) -> String {
        let mut text = String::new();
        input.read_to_string(&mut text).expect("read");
        text
    }

    #[test]
    fn places_are_told_apart() {
        assert_eq!(Place::parse("a/b.warc.gz"), Place::File("a/b.warc.gz".into()));
        assert!(matches!(Place::parse("https://e.org/a"), Place::Web(_)) && matches!(Place::parse("s3://b/a"), Place::Store(_)));
        let list = Place::parse("https://e.org/crawl-data/CC/wat.paths.gz");
        assert_eq!(list.line("crawl-data/x.wat.gz").to_string(), "https://e.org/crawl-data/x.wat.gz");
        assert_eq!(list.line("s3://b/x").to_string(), "s3://b/x");
        assert_eq!(Place::parse("s3://b/crawl-data/wat.paths.gz").line("crawl-data/x.wat.gz").to_string(), "s3://b/crawl-data/x.wat.gz");
        assert_eq!(Place::parse("lists/wat.paths").line("crawl-data/x.wat.gz").to_string(), format!("{COMMON_CRAWL}crawl-data/x.wat.gz"));
        assert_eq!(Place::parse("lists/wat.paths").line("x.wat.gz").to_string(), "lists/x.wat.gz");
    }

    #[test]
    fn cut_connections_are_taken_up() {
        let body: String = (0..5000).map(|i| format!("{i} ")).collect();
        let (address, heads) = serve(body.clone().into_bytes(), 7000);
        let url = format!("http://{address}/a");
        let got = beside(move || {
            let places = Places::new(&options()).expect("places");
            assert!(matches!(places.open(&Place::parse(&url.replace("/a", "/missing")), 0), Err(Error::Missing { .. })));
            [0, 100, 23_890].map(|offset| text(places.open(&Place::parse(&url), offset).expect("opened")))
        });
        assert_eq!(got, [&body, &body[100..], &body[23_890..]].map(String::from));
        assert!(heads.lock().expect("no panic").len() > 6);
    }

    #[test]
    fn servers_that_give_whole_files_only_are_read() {
        let body: String = (0..5000).map(|i| format!("{i} ")).collect();
        let (address, _) = serve(body.clone().into_bytes(), usize::MAX);
        let url = format!("http://{address}/whole");
        let got = beside(move || {
            let places = Places::new(&options()).expect("places");
            [0, 100, 23_889, 23_890].map(|offset| text(places.open(&Place::parse(&url), offset).expect("opened")))
        });
        assert_eq!(got, [&body, &body[100..], &body[23_889..], ""].map(String::from));
    }

    #[test]
    fn who_waits_is_let_go() {
        // Accepts, and says nothing.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/a", listener.local_addr().expect("an address"));
        let error = beside(move || {
            let places = Arc::new(Places::new(&options()).expect("places"));
            let other = places.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(100));
                other.give_up();
            });
            places.open(&Place::parse(&url), 0).err().expect("refused")
        });
        assert!(error.to_string().contains("the crawl ended"), "{error}");
    }

    #[test]
    fn object_stores_are_read() {
        let (address, heads) = serve(b"0123456789".to_vec(), 100);
        // What AWS_ENDPOINT and its like say, without touching this process's environment.
        let got = beside(move || {
            let url = Url::parse("s3://bucket/folder/key").expect("a URL");
            let variables = [
                ("aws_endpoint", format!("http://{address}")),
                ("aws_allow_http", "true".into()),
                ("aws_skip_signature", "true".into()),
                ("aws_region", "us-east-1".into()),
            ];
            let (store, path) = object_store::parse_url_opts(&url, variables).expect("a store");
            let options = GetOptions { range: Some(GetRange::Offset(4)), ..GetOptions::default() };
            let result = Handle::current().block_on(store.get_opts(&path, options)).expect("an answer");
            let stream = result.into_stream().map(|bytes| bytes.map(Vec::from).map_err(IoError::other)).boxed();
            text(Box::new(StoreStream { _store: store, given_up: CancellationToken::new(), stream, chunk: Vec::new(), at: 0 }))
        });
        assert_eq!(got, "456789");
        assert!(heads.lock().expect("no panic")[0].starts_with("get /bucket/folder/key "), "{heads:?}");
    }

    #[test]
    fn folders_patterns_and_lists_are_expanded() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("sub")).expect("made");
        for name in ["b.warc.gz", "sub/a.warc", "c.wat.gz", "notes"] {
            std::fs::write(path(name), b"x").expect("written");
        }
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(b"b.warc.gz\n\nhttps://e.org/x.warc.gz\n").expect("packed");
        std::fs::write(path("warc.paths.gz"), packer.finish().expect("packed")).expect("written");
        let places = Places::new(&options()).expect("places");
        let expand = |text: PathBuf| {
            let found = places.expand(text.to_str().expect("a path"), "warc", &[".warc", ".warc.gz"])?;
            Ok::<_, Error>(
                found.iter().map(|place| place.to_string().replace(dir.path().to_str().expect("a path"), "")).collect::<Vec<_>>(),
            )
        };
        assert_eq!(expand(dir.path().into()).expect("expanded"), ["/b.warc.gz", "/sub/a.warc"]);
        assert_eq!(expand(path("*.gz")).expect("expanded"), ["/b.warc.gz", "/c.wat.gz", "/warc.paths.gz"]);
        assert_eq!(expand(path("warc.paths.gz")).expect("expanded"), ["/b.warc.gz", "https://e.org/x.warc.gz"]);
        assert_eq!(expand(path("c.wat.gz")).expect("expanded"), ["/c.wat.gz"]);
        assert!(expand(path("none")).expect_err("refused").to_string().contains("no such file"));
        std::fs::create_dir(path("empty")).expect("made");
        assert!(expand(path("empty")).expect_err("refused").to_string().contains(".warc"));
    }

    #[test]
    fn public_servers_need_a_contact() {
        let places = Places::new(&options()).expect("places");
        assert!(matches!(places.open(&Place::parse("https://e.org/a"), 0), Err(Error::Contact { .. })));
        let strict = Places::new(&CrawlOptions::new("unused", Vec::new())).expect("places");
        assert!(matches!(strict.open(&Place::parse("http://127.0.0.1:1/a"), 0), Err(Error::Archive { .. })));
    }
}
