//! Published files that a query list is made of, from a server laid out like dumps.wikimedia.org.
//!
//! A file is written as `NAME.part`, goes on by range request where it was cut, is compared with the checksum that the server
//! publishes, and only then gets its name: a file that has its name is whole and right, and is not asked for again.

use crate::Error;
use crate::guard::is_private_host;
use md5::Md5;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use sha1::{Digest, Sha1};
use shards::{Meter, sync_folder};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// Requests in a row that bring nothing before a download is given up.
const ATTEMPTS: u32 = 5;
/// Wait before the second of them; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 500 });
/// Longest wait believed of `Retry-After`.
const MAX_WAIT: Duration = Duration::from_secs(120);
/// Silence after which a connection counts as cut.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest list of checksums, in bytes; Wikipedia's have about 30,000.
const MAX_LIST: usize = 16 << 20;
/// Redirects followed.
const MAX_REDIRECTS: usize = 5;

/// A file that a list is to be made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One that is there.
    File(PathBuf),
    /// The articles of a wiki, such as `enwiki`, of a date (`YYYYMMDD`) or the latest.
    Dump {
        /// The wiki's database name.
        wiki: String,
        /// The day of the dump.
        date: Option<String>,
    },
    /// The page views of the hour that is named `YYYYMMDD-HH`.
    Views(String),
}

impl Wanted {
    /// `enwiki` and `dewiki@20260501` name dumps, all else is a path; so is a name where a file of that name is.
    pub fn dump(text: &str) -> Wanted {
        let (wiki, date) = text.split_once('@').map_or((text, None), |(wiki, date)| (wiki, Some(date)));
        let named = wiki.contains("wik") && wiki.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if named && date.is_none_or(is_day) && !Path::new(text).exists() {
            return Wanted::Dump { wiki: wiki.to_string(), date: date.map(str::to_string) };
        }
        Wanted::File(PathBuf::from(text))
    }

    /// `20260501` is all hours that are named after a day, `20260501-13` one of them, all else a path.
    pub fn pageviews(text: &str) -> Vec<Wanted> {
        match text.split_once('-') {
            _ if Path::new(text).exists() => vec![Wanted::File(PathBuf::from(text))],
            None if is_day(text) => (0..24).map(|hour| Wanted::Views(format!("{text}-{hour:02}"))).collect(),
            Some((day, hour)) if is_day(day) && digits(hour, 2) && hour < "24" => vec![Wanted::Views(text.to_string())],
            _ => vec![Wanted::File(PathBuf::from(text))],
        }
    }
}

/// Whether a text is `YYYYMMDD`.
fn is_day(text: &str) -> bool {
    digits(text, 8) && ("01"..="12").contains(&&text[4..6]) && ("01"..="31").contains(&&text[6..])
}

fn digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Brings all files into `folder`, one after the other over one connection; gives their paths in the order asked. Files that are
/// there already are not asked for. `meter` counts bytes.
///
/// # Errors
/// `Usage` for a mirror that is no http address, `Download` when a file is not to be had, `Checksum` when it is another than
/// published, `Files` when it cannot be written. What arrived before stays and is used by the next try, but for a wrong checksum.
pub async fn download(wanted: &[Wanted], mirror: &str, folder: &Path, meter: &Meter) -> Result<Vec<PathBuf>, Error> {
    let mut mirror = Mirror::new(mirror, meter)?;
    let mut paths = Vec::new();
    for one in wanted {
        paths.push(match one {
            Wanted::File(path) => path.clone(),
            Wanted::Dump { wiki, date } => mirror.dump(wiki, date.as_deref(), folder).await?,
            Wanted::Views(time) => mirror.views(time, folder).await?,
        });
    }
    Ok(paths)
}

struct Mirror<'m> {
    client: Client,
    base: String,
    meter: &'m Meter,
    /// The list of checksums fetched last, by its folder: the hours of a month share one.
    list: Option<(String, String)>,
}

impl<'m> Mirror<'m> {
    fn new(base: &str, meter: &'m Meter) -> Result<Self, Error> {
        let url = Url::parse(base).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| Error::Usage(format!("--mirror {base} is no http or https address")))?;
        // Another part of the process may have chosen a provider already; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let private = is_private_host(&url);
        let redirects = Policy::custom(move |attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if is_private_host(attempt.url()) && !private {
                attempt.error("a public mirror redirects to a private address")
            } else {
                attempt.follow()
            }
        });
        let builder = || {
            let builder = Client::builder().user_agent(concat!("diptych/", env!("CARGO_PKG_VERSION"))).connect_timeout(SILENCE);
            // The bytes as published: a .gz file must arrive as one.
            let builder = builder.read_timeout(SILENCE).no_gzip().no_brotli().no_deflate();
            if private { builder.no_proxy() } else { builder }
        };
        let client = builder().redirect(redirects).build().or_else(|error| {
            // A machine without root certificates can still use a mirror over plain HTTP.
            tracing::warn!(%error, "no root certificates: https will not work");
            let tls = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
            builder().tls_backend_preconfigured(tls).build()
        });
        let base = base.trim_end_matches('/').to_string();
        Ok(Mirror { client: client.map_err(Error::Client)?, base, meter, list: None })
    }

    async fn dump(&mut self, wiki: &str, date: Option<&str>, folder: &Path) -> Result<PathBuf, Error> {
        let date = date.unwrap_or("latest");
        let place = format!("{}/{wiki}/{date}", self.base);
        let list = match self.list(&place, &format!("{wiki}-{date}-")).await? {
            Some(list) => list,
            None => {
                return Err(missing(
                    &place,
                    "neither sha1sums.txt nor md5sums.txt is published there: is it the name of a wiki and a date?",
                ));
            }
        };
        // Many streams are decompressed on all cores from the first byte on, so they come first.
        let found = ["-pages-articles-multistream.xml.bz2", "-pages-articles.xml.bz2"].iter().find_map(|ending| {
            let dated = |name: &str| {
                name.strip_suffix(ending)?.strip_prefix(wiki)?.strip_prefix('-').filter(|day| digits(day, 8)).map(str::to_string)
            };
            entries(&list).find_map(|(sum, name)| Some((dated(name)?, name.to_string(), sum.to_string())))
        });
        let (day, name, sum) = found.ok_or_else(|| missing(&place, "its list of checksums has no pages-articles file"))?;
        let url = format!("{}/{wiki}/{day}/{name}", self.base);
        self.file(&url, &folder.join(name), Some(&sum)).await
    }

    async fn views(&mut self, time: &str, folder: &Path) -> Result<PathBuf, Error> {
        let place = format!("{}/other/pageviews/{}/{}-{}", self.base, &time[..4], &time[..4], &time[4..6]);
        let name = format!("pageviews-{time}0000.gz");
        let path = folder.join(&name);
        if path.exists() {
            return Ok(path);
        }
        let list = self.list(&place, "").await?;
        let sum = list.as_deref().and_then(|list| entries(list).find(|(_, listed)| *listed == name).map(|(sum, _)| sum.to_string()));
        if sum.is_none() {
            tracing::warn!("{place} publishes no checksum of {name}: its length and gzip's own checksum must do");
        }
        self.file(&format!("{place}/{name}"), &path, sum.as_deref()).await
    }

    /// The list of checksums of a folder, SHA-1 or else MD5; `None` when neither is published.
    async fn list(&mut self, place: &str, prefix: &str) -> Result<Option<String>, Error> {
        if let Some((_, list)) = self.list.as_ref().filter(|(of, _)| of == place) {
            return Ok(Some(list.clone()));
        }
        for kind in ["sha1sums.txt", "md5sums.txt"] {
            let url = format!("{place}/{prefix}{kind}");
            let mut response = self.ask(&url, 0).await?;
            if response.status() == StatusCode::NOT_FOUND {
                continue;
            }
            if !response.status().is_success() {
                return Err(missing(&url, &response.status().to_string()));
            }
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| missing(&url, &causes(&error)))? {
                bytes.extend_from_slice(&chunk);
                if bytes.len() > MAX_LIST {
                    return Err(missing(&url, &format!("a list of checksums has at most {MAX_LIST} bytes")));
                }
            }
            let list = String::from_utf8_lossy(&bytes).into_owned();
            self.list = Some((place.to_string(), list.clone()));
            return Ok(Some(list));
        }
        Ok(None)
    }

    /// Downloads a file, going on where an earlier try ended.
    async fn file(&self, url: &str, path: &Path, sum: Option<&str>) -> Result<PathBuf, Error> {
        if path.exists() {
            return Ok(path.to_path_buf());
        }
        let mut part = path.as_os_str().to_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(shards::Error::io("create folder", folder))?;
        }
        let mut fruitless = 0;
        loop {
            let before = length(&part);
            match self.go_on(url, &part).await? {
                Went::Whole => break,
                Went::Cut(why, wait) => {
                    fruitless = if length(&part) > before { 0 } else { fruitless + 1 };
                    if fruitless == ATTEMPTS {
                        return Err(missing(
                            url,
                            &format!("{why}, {ATTEMPTS} times in a row; run the same command to go on where it was cut"),
                        ));
                    }
                    tokio::time::sleep(wait.unwrap_or(FIRST_WAIT * (1 << fruitless)).min(MAX_WAIT)).await;
                }
            }
        }
        if let Some(expected) = sum {
            let found = checksum(&part, expected.len())?;
            if !found.eq_ignore_ascii_case(expected) {
                std::fs::remove_file(&part).map_err(shards::Error::io("remove", &part))?;
                return Err(Error::Checksum { url: url.to_string(), expected: expected.to_string(), found });
            }
        }
        std::fs::rename(&part, path).map_err(shards::Error::io("rename", &part))?;
        sync_folder(path.parent().unwrap_or(Path::new(".")))?;
        Ok(path.to_path_buf())
    }

    /// Asks for the rest of a file and appends what comes.
    async fn go_on(&self, url: &str, part: &Path) -> Result<Went, Error> {
        let have = length(part);
        let mut response = match self.ask(url, have).await {
            Ok(response) => response,
            Err(Error::Download { why, .. }) => return Ok(Went::Cut(why, None)),
            Err(error) => return Err(error),
        };
        let status = response.status();
        let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_string();
        let from = match status {
            StatusCode::PARTIAL_CONTENT if range.starts_with(&format!("bytes {have}-")) => have,
            StatusCode::OK => 0,
            // Nothing is left of a file that was cut after its last byte; of a longer one, all is wrong.
            StatusCode::RANGE_NOT_SATISFIABLE if range == format!("bytes */{have}") => return Ok(Went::Whole),
            StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT => {
                std::fs::remove_file(part).map_err(shards::Error::io("remove", part))?;
                return Ok(Went::Cut(format!("the server has another file than the one begun ({status} {range})"), None));
            }
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                return Ok(Went::Cut(status.to_string(), asked.map(Duration::from_secs)));
            }
            _ => return Err(missing(url, &status.to_string())),
        };
        let whole = response.content_length().map(|rest| from + rest);
        let mut file = File::options().create(true).append(true).open(part).map_err(shards::Error::io("open", part))?;
        file.set_len(from).map_err(shards::Error::io("shorten", part))?;
        self.meter.set_total(whole.unwrap_or(0));
        self.meter.start_at(from);
        self.meter.say(part.file_stem().unwrap_or_default().to_string_lossy());
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    file.write_all(&chunk).map_err(shards::Error::io("write", part))?;
                    self.meter.add(chunk.len() as u64);
                }
                Ok(None) => break,
                Err(error) => return Ok(Went::Cut(causes(&error), None)),
            }
        }
        file.sync_all().map_err(shards::Error::io("write", part))?;
        match whole {
            Some(whole) if length(part) != whole => Ok(Went::Cut(format!("{} of {whole} bytes arrived", length(part)), None)),
            _ => Ok(Went::Whole),
        }
    }

    async fn ask(&self, url: &str, from: u64) -> Result<Response, Error> {
        let request = self.client.get(url).header(ACCEPT_ENCODING, "identity");
        let request = if from > 0 { request.header(RANGE, format!("bytes={from}-")) } else { request };
        request.send().await.map_err(|error| missing(url, &causes(&error)))
    }
}

/// How a request for the rest of a file ended.
enum Went {
    Whole,
    /// Why, and how long the server asks to wait.
    Cut(String, Option<Duration>),
}

fn missing(url: &str, why: &str) -> Error {
    Error::Download { url: url.to_string(), why: why.to_string() }
}

/// The root cause of a client's error: its own text repeats the address.
fn causes(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

/// Checksums and names of a list in the form of `sha1sum` and `md5sum`.
fn entries(list: &str) -> impl Iterator<Item = (&str, &str)> {
    list.lines().filter_map(|line| {
        let (sum, name) = line.split_once([' ', '\t'])?;
        let hex = matches!(sum.len(), 32 | 40) && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then_some((sum, name.trim_start_matches([' ', '\t', '*']).trim_end()))
    })
}

/// SHA-1 of a file where the published checksum has 40 digits, else MD5; in hex. Both guard against accidents, not against forgers: that
/// is what the mirror's https is for.
fn checksum(path: &Path, digits: usize) -> Result<String, Error> {
    if digits == 40 { hash::<Sha1>(path) } else { hash::<Md5>(path) }
}

fn hash<D: Digest>(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(shards::Error::io("open", path))?;
    let (mut hasher, mut buffer) = (D::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(shards::Error::io("read", path))? {
            0 => return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

#[cfg(test)]
mod tests;
