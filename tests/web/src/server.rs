//! A small HTTP/1.1 server: GET and HEAD, connections kept open, everything bounded. It only ever reads the web.

use crate::date::date;
use crate::resource::{Behaviour, Coding, PORT, Resource};
use crate::{Error, Web};
use std::borrow::Cow;
use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Connections served at a time; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 512;
/// Longest request head in bytes.
const MAX_HEAD: usize = 16 << 10;
/// A connection that asks nothing for this long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// What the server needs of a request head.
struct Request {
    head_only: bool,
    /// Path and query, escapes in upper case.
    path: String,
    host: String,
    close: bool,
}

impl Web {
    /// Answers requests on `listener` until `shutdown` is done; then every connection is dropped.
    ///
    /// A request whose host is not the listener's own address is one for another host, see [`Web::requests`].
    ///
    /// # Errors
    /// `Accept` when the listener itself fails.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let accept = |source| Error::Accept { source };
        let address = listener.local_addr().map_err(accept)?;
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        // Dropping the sender, however this function ends, ends every connection.
        let (_alive, ended) = watch::channel(());
        tokio::pin!(shutdown);
        loop {
            let accepted = async {
                let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
                listener.accept().await.map(|(stream, _)| (place, stream))
            };
            let (place, stream) = tokio::select! {
                () = &mut shutdown => return Ok(()),
                accepted = accepted => match accepted {
                    Ok(accepted) => accepted,
                    // A client that hung up before it was accepted is no failure of the listener.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                    Err(error) => return Err(accept(error)),
                },
            };
            let (web, host, mut ended) = (self.clone(), address.to_string(), ended.clone());
            tokio::spawn(async move {
                tokio::select! {
                    // Whatever goes wrong on a connection is the client's to notice.
                    _ = web.talk(stream, &host) => {}
                    _ = ended.changed() => {}
                }
                drop(place);
            });
        }
    }

    async fn talk(&self, mut stream: TcpStream, own_host: &str) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = Vec::new();
        loop {
            let Some(head) = tokio::time::timeout(IDLE, read_head(&mut stream, &mut buffer)).await?? else { return Ok(()) };
            let Some(request) = parse(&head) else {
                return send(&mut stream, &Resource::error(400), true, false, own_host).await;
            };
            let name = request.host.rsplit_once(':').map_or(request.host.as_str(), |(name, _)| name);
            let place = if request.host == own_host { request.path.clone() } else { format!("//{name}{}", request.path) };
            let before = self.count(&place);
            let resource = self.resource(&place).unwrap_or_else(|| Cow::Owned(Resource::missing()));
            let stand_in = self.stand_in(&place, resource.behaviour, before);
            send(&mut stream, stand_in.as_ref().unwrap_or(&resource), request.close, request.head_only, own_host).await?;
            if request.close {
                return Ok(());
            }
        }
    }

    /// What is answered in place of a resource that is not yet to be had; `before` are the earlier requests for it.
    fn stand_in(&self, place: &str, behaviour: Behaviour, before: u64) -> Option<Resource> {
        match behaviour {
            Behaviour::Heals { failures, status } => (before < failures).then(|| Resource::error(status)),
            Behaviour::Busy { seconds, as_date } => {
                let until = self.busy_until(place, Duration::from_secs(seconds))?;
                let value = if as_date { date(until) } else { seconds.to_string() };
                Some(Resource::error(429).with_header("Retry-After", &value).with_header("Date", &date(SystemTime::now())))
            }
            _ => None,
        }
    }
}

/// Reads up to the blank line; what follows stays in `buffer`. `None` when the client hung up between requests.
async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            return Ok(Some(std::mem::replace(buffer, rest)));
        }
        if buffer.len() > MAX_HEAD {
            return Err(io::Error::other("the request's head is too long"));
        }
        let mut chunk = [0; 2048];
        match stream.read(&mut chunk).await? {
            0 => return Ok(None),
            n => buffer.extend_from_slice(&chunk[..n]),
        }
    }
}

/// Reads a request head; `None` for what this server does not speak: other methods, bodies, other versions.
fn parse(head: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target, version) = (first.next()?, first.next()?, first.next()?);
    let headers: Vec<(String, &str)> =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_ascii_lowercase(), value.trim())).collect();
    let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    let body = header("transfer-encoding").is_some() || header("content-length").is_some_and(|length| length != "0");
    if !matches!(method, "GET" | "HEAD") || !target.starts_with('/') || version != "HTTP/1.1" || body {
        return None;
    }
    let close = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Some(Request { head_only: method == "HEAD", path: upper_escapes(target), host: header("host")?.to_ascii_lowercase(), close })
}

/// Brings the hex digits of escapes to upper case, the spelling under which everything lies.
fn upper_escapes(target: &str) -> String {
    let mut hex = 0;
    let upper = |c: char| {
        let inside = hex > 0;
        hex = if c == '%' { 2 } else { usize::saturating_sub(hex, 1) };
        if inside { c.to_ascii_uppercase() } else { c }
    };
    target.chars().map(upper).collect()
}

async fn send(stream: &mut TcpStream, resource: &Resource, close: bool, head_only: bool, own_host: &str) -> io::Result<()> {
    let port = own_host.rsplit_once(':').map_or("80", |(_, port)| port);
    let body = coded(with_port(resource, port), resource.coding)?;
    let mut head = format!("HTTP/1.1 {} {}\r\nContent-Type: {}\r\n", resource.status, phrase(resource.status), resource.content_type);
    match resource.coding {
        Coding::Plain => {}
        Coding::Gzip => head.push_str("Content-Encoding: gzip\r\n"),
        Coding::Brotli => head.push_str("Content-Encoding: br\r\n"),
    }
    for (name, value) in &resource.headers {
        let value = value.replace(PORT, &format!(".localhost:{port}/"));
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match resource.behaviour {
        Behaviour::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
        Behaviour::Length { said } => head.push_str(&format!("Content-Length: {said}\r\n")),
        _ => head.push_str(&format!("Content-Length: {}\r\n", body.len())),
    }
    let close = close || matches!(resource.behaviour, Behaviour::Length { .. });
    head.push_str(if close { "Connection: close\r\n\r\n" } else { "Connection: keep-alive\r\n\r\n" });
    let body = if head_only { &[] } else { body.as_ref() };
    match resource.behaviour {
        Behaviour::Cut { after } => {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body[..after.min(body.len())]).await?;
            Err(io::Error::other("cut as planned"))
        }
        Behaviour::Length { .. } => {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body).await?;
            stream.shutdown().await?;
            Err(io::Error::other("closed as planned"))
        }
        Behaviour::Stall { pause } => {
            stream.write_all(head.as_bytes()).await?;
            tokio::time::sleep(pause).await;
            stream.write_all(body).await
        }
        Behaviour::Trickle { pause } => {
            stream.write_all(head.as_bytes()).await?;
            for part in body.chunks(body.len().div_ceil(8).max(1)) {
                tokio::time::sleep(pause).await;
                stream.write_all(part).await?;
            }
            Ok(())
        }
        Behaviour::Chunked => {
            let mut whole = head.into_bytes();
            for part in body.chunks(1000) {
                whole.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                whole.extend_from_slice(part);
                whole.extend_from_slice(b"\r\n");
            }
            whole.extend_from_slice(b"0\r\n\r\n");
            stream.write_all(&whole).await
        }
        Behaviour::Proper | Behaviour::Heals { .. } | Behaviour::Busy { .. } => {
            // One write: small answers fit one packet.
            let mut whole = head.into_bytes();
            whole.extend_from_slice(body);
            stream.write_all(&whole).await
        }
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        404 => "Not Found",
        410 => "Gone",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Other",
    }
}

/// The body with the port filled in where texts name another host.
fn with_port(resource: &Resource, port: &str) -> Arc<[u8]> {
    let marker = PORT.as_bytes();
    let text = resource.content_type.starts_with("text/") || resource.content_type.contains("xml");
    if !text || !resource.body.windows(marker.len()).any(|window| window == marker) {
        return resource.body.clone();
    }
    let name = format!(".localhost:{port}/");
    let mut out = Vec::with_capacity(resource.body.len());
    let mut rest: &[u8] = &resource.body;
    while let Some(at) = rest.windows(marker.len()).position(|window| window == marker) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(name.as_bytes());
        rest = &rest[at + marker.len()..];
    }
    out.extend_from_slice(rest);
    out.into()
}

fn coded(body: Arc<[u8]>, coding: Coding) -> io::Result<Arc<[u8]>> {
    Ok(match coding {
        Coding::Plain => body,
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&body)?;
            encoder.finish()?.into()
        }
        Coding::Brotli => {
            let mut out = Vec::new();
            brotli::BrotliCompress(&mut body.as_ref(), &mut out, &brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() })?;
            out.into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;
    use crate::resource::ELSEWHERE;
    use std::net::SocketAddr;

    /// Sends `request` with `HOST` filled in and reads until the server closes.
    async fn ask(address: SocketAddr, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(request.replace("HOST", &address.to_string()).as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        // A server that hangs up on unread bytes resets the connection: what came before counts.
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    async fn served(web: Web) -> (Arc<Web>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let web = Arc::new(web);
        tokio::spawn(web.clone().serve(listener, std::future::pending()));
        (web, address)
    }

    fn tiny() -> Web {
        Web::generate(1, Size { per_class: 1, copies: 1, faults: 2, test_per_class: 1 })
    }

    #[tokio::test]
    async fn answers_on_one_connection_and_counts() {
        let (web, address) = served(tiny()).await;
        let request = "GET /robots.txt HTTP/1.1\r\nHost: HOST\r\n\r\nHEAD / HTTP/1.1\r\nHost: HOST\r\n\r\n\
                       GET /no%c3%a9 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n";
        let answer = String::from_utf8(ask(address, request).await).expect("text");
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2);
        assert_eq!(answer.matches("HTTP/1.1 404 Not Found").count(), 1);
        assert!(answer.contains("Disallow: /private/") && !answer.contains("<h1>"));
        let counts = web.requests();
        assert_eq!((counts.get("/robots.txt"), counts.get("/"), counts.get("/no%C3%A9")), (Some(&1), Some(&1), Some(&1)));
    }

    #[tokio::test]
    async fn what_it_does_not_speak_is_refused() {
        let (web, address) = served(tiny()).await;
        for request in ["POST / HTTP/1.1\r\nHost: HOST\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\u{1}\r\n\r\n"] {
            let answer = ask(address, request).await;
            assert!(answer.starts_with(b"HTTP/1.1 400 Bad Request"), "{request:?}");
        }
        assert!(ask(address, &"x".repeat(2 * MAX_HEAD)).await.is_empty());
        assert!(web.requests().is_empty());
    }

    #[tokio::test]
    async fn the_second_host_is_kept_apart() {
        let (web, address) = served(tiny()).await;
        let answer = ask(address, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with(b"HTTP/1.1 404"));
        assert_eq!(web.requests().get("//localhost/"), Some(&1));
        let path = web
            .resources()
            .iter()
            .find(|(path, r)| !path.starts_with("//") && String::from_utf8_lossy(&r.body).contains(ELSEWHERE))
            .expect("a link")
            .0;
        let page = ask(address, &format!("GET {path} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n")).await;
        let page = String::from_utf8_lossy(&page);
        assert!(page.contains(&format!("http://elsewhere.localhost:{}/friends", address.port())) && !page.contains(ELSEWHERE));
    }

    #[tokio::test]
    async fn misbehaves_where_told() {
        let mut web = tiny();
        assert!(web.misbehave("/robots.txt", Behaviour::Cut { after: 5 }));
        assert!(web.misbehave("/", Behaviour::Stall { pause: Duration::from_millis(300) }));
        assert!(!web.misbehave("/nothing", Behaviour::Proper));
        let (_, address) = served(web).await;
        let cut = ask(address, "GET /robots.txt HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
        assert!(cut.ends_with(b"\r\n\r\n# Wel"));
        let start = std::time::Instant::now();
        let whole = ask(address, "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
        assert!(start.elapsed() >= Duration::from_millis(300) && whole.ends_with(b"</html>\n"));
    }
}
