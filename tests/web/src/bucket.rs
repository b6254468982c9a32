//! A small object store on loopback: HEAD, GET with ranges, and PUT, as S3 and Google's storage answer them by path. Signatures are not looked at.
//!
//! Knows nothing of what it keeps. Everything is in memory.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

/// What is kept, by path, and the requests made.
#[derive(Default)]
struct Kept {
    objects: BTreeMap<String, Vec<u8>>,
    requests: Vec<String>,
    forbidden: Option<String>,
}

/// A running store. It ends with the process.
pub struct Bucket {
    kept: Arc<Mutex<Kept>>,
    address: SocketAddr,
}

impl Bucket {
    /// Starts one on a free port of loopback.
    ///
    /// # Errors
    /// When no port can be opened.
    pub fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let bucket = Bucket { kept: Arc::default(), address: listener.local_addr()? };
        let kept = bucket.kept.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || {
                    // A client that goes away ends its own thread only.
                    let _ = connection.try_clone().and_then(|reader| serve(BufReader::new(reader), connection, &kept));
                });
            }
        });
        Ok(bucket)
    }

    /// Where it answers: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Keeps an object under a path such as `/bucket/a/b.tar`.
    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        self.kept().objects.insert(path.to_string(), bytes);
    }

    /// Lets nobody read what ends so any more.
    pub fn forbid(&self, end: &str) {
        self.kept().forbidden = Some(end.to_string());
    }

    /// An object.
    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.kept().objects.get(path).cloned()
    }

    /// The paths of all objects.
    pub fn paths(&self) -> Vec<String> {
        self.kept().objects.keys().cloned().collect()
    }

    /// The requests so far, as `METHOD PATH RANGE`.
    pub fn requests(&self) -> Vec<String> {
        self.kept().requests.clone()
    }
}

/// Answers the requests of one connection.
fn serve(mut reader: impl BufRead, mut writer: impl Write, kept: &Mutex<Kept>) -> std::io::Result<()> {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let method = words.next().unwrap_or_default().to_string();
        let path = plain(words.next().unwrap_or_default().split('?').next().unwrap_or_default());
        let (mut length, mut range) = (0, String::new());
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "range" => range = value.trim().to_string(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (status, more, body) = answer(&method, &path, &range, body, &mut kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        let date = "Last-Modified: Tue, 24 Nov 2026 00:00:00 GMT\r\nETag: \"x\"\r\nContent-Type: application/octet-stream\r\n";
        write!(writer, "HTTP/1.1 {status}\r\n{date}{more}Content-Length: {}\r\n\r\n", body.len())?;
        if method != "HEAD" {
            writer.write_all(&body)?;
        }
        writer.flush()?;
    }
}

/// A path with its escapes resolved: clients of Google's write all that is no letter or digit of a name as `%2F`.
fn plain(path: &str) -> String {
    let mut parts = path.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => {
                bytes.push(b'%');
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn answer(method: &str, path: &str, range: &str, body: Vec<u8>, kept: &mut Kept) -> (&'static str, String, Vec<u8>) {
    kept.requests.push(format!("{method} {path} {range}"));
    if method == "PUT" {
        kept.objects.insert(path.to_string(), body);
        return ("200 OK", String::new(), Vec::new());
    }
    if method == "GET" && kept.forbidden.as_ref().is_some_and(|end| path.ends_with(end.as_str())) {
        return ("403 Forbidden", String::new(), Vec::new());
    }
    let Some(object) = kept.objects.get(path) else { return ("404 Not Found", String::new(), Vec::new()) };
    let bounds = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let bounds = bounds.and_then(|(from, to)| Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?)));
    match bounds {
        None => ("200 OK", String::new(), object.clone()),
        Some((from, to)) if from < object.len() && from <= to => {
            let to = to.min(object.len() - 1);
            let more = format!("Content-Range: bytes {from}-{to}/{}\r\n", object.len());
            ("206 Partial Content", more, object[from..=to].to_vec())
        }
        Some(_) => ("416 Range Not Satisfiable", String::new(), Vec::new()),
    }
}
