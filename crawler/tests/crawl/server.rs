//! A web server on loopback that answers as a test tells it, broken answers included.

use image::{Rgb, RgbImage};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An answer, as bytes on the wire.
#[derive(Clone)]
pub struct Answer(pub Vec<u8>);

impl Answer {
    /// A status line, headers (each `Name: value`) and a body with its length.
    pub fn new(status: &str, headers: &[&str], body: &[u8]) -> Self {
        let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
        headers.iter().for_each(|header| head.push_str(&format!("{header}\r\n")));
        Answer([head.as_bytes(), b"\r\n", body].concat())
    }

    pub fn html(body: &str) -> Self {
        Answer::new("200 OK", &["Content-Type: text/html; charset=utf-8"], body.as_bytes())
    }

    pub fn text(body: &str) -> Self {
        Answer::new("200 OK", &["Content-Type: text/plain"], body.as_bytes())
    }

    pub fn image(bytes: &[u8]) -> Self {
        Answer::new("200 OK", &["Content-Type: image/png"], bytes)
    }

    pub fn missing() -> Self {
        Answer::new("404 Not Found", &[], b"nothing here")
    }

    pub fn redirect(to: &str) -> Self {
        Answer::new("302 Found", &[&format!("Location: {to}")], b"")
    }
}

type Route = dyn Fn(&str, u64) -> Answer + Send + Sync;

/// The server; it ends with the test's runtime.
pub struct Server {
    pub address: String,
    seen: Arc<Mutex<BTreeMap<String, u64>>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves what `route` gives for a path and the number of earlier requests for it.
    pub async fn start(route: impl Fn(&str, u64) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (seen, heads) = (Arc::<Mutex<BTreeMap<String, u64>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (route, log, lines): (Arc<Route>, _, _) = (Arc::new(route), seen.clone(), heads.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, route.clone(), log.clone(), lines.clone()));
            }
        });
        Server { address, seen, heads }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Requests by path.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.seen.lock().expect("no test panicked before").clone()
    }

    /// The heads of all requests.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no test panicked before").clone()
    }
}

async fn serve(mut stream: TcpStream, route: Arc<Route>, seen: Arc<Mutex<BTreeMap<String, u64>>>, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_string();
    heads.lock().expect("no test panicked before").push(head);
    let before = {
        let mut seen = seen.lock().expect("no test panicked before");
        let count = seen.entry(path.clone()).or_default();
        *count += 1;
        *count - 1
    };
    let Answer(bytes) = route(&path, before);
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
}

/// A PNG whose pixels depend on `seed`.
pub fn png(seed: u32) -> Vec<u8> {
    let pixels = RgbImage::from_fn(40, 30, |x, y| Rgb([(x * seed) as u8, (y * 7 + seed) as u8, seed as u8]));
    shards::png_bytes(&pixels).expect("encoded")
}

/// The bytes as a gzip member of stored blocks.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = bytes.chunks(60_000).peekable();
    while let Some(block) = blocks.next() {
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&(block.len() as u16).to_le_bytes());
        out.extend_from_slice(&(!(block.len() as u16)).to_le_bytes());
        out.extend_from_slice(block);
    }
    let crc = !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out
}
