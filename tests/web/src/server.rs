//! A small HTTP/1.1 server: GET and HEAD, connections kept open, everything bounded. It only ever reads the web.

use crate::resource::{Behaviour, ELSEWHERE, Resource};
use crate::{Error, Web};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
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
    /// A request whose host is not the listener's own address counts as one for the second host, see [`Web::requests`].
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
                let answer = Resource { status: 400, ..Resource::missing() };
                return send(&mut stream, &answer, false, true, own_host).await;
            };
            let own = request.host == own_host;
            let place = if own { request.path.clone() } else { format!("//{}{}", request.host, request.path) };
            self.count(&place);
            let missing = Resource::missing();
            let resource = self.resource(&request.path).filter(|_| own).unwrap_or(&missing);
            send(&mut stream, resource, request.head_only, request.close, own_host).await?;
            if request.close {
                return Ok(());
            }
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

async fn send(stream: &mut TcpStream, resource: &Resource, head_only: bool, close: bool, own_host: &str) -> io::Result<()> {
    let body = with_elsewhere(resource, own_host);
    let status = match resource.status {
        200 => "200 OK",
        400 => "400 Bad Request",
        _ => "404 Not Found",
    };
    let connection = if close { "close" } else { "keep-alive" };
    let (kind, length) = (resource.content_type, body.len());
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n");
    let body = if head_only { &[] } else { body.as_ref() };
    match resource.behaviour {
        Behaviour::Proper => {
            // One write: small answers fit one packet.
            let mut whole = head.into_bytes();
            whole.extend_from_slice(body);
            stream.write_all(&whole).await
        }
        Behaviour::Cut { after } => {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body[..after.min(body.len())]).await?;
            Err(io::Error::other("cut as planned"))
        }
        Behaviour::Stall { pause } => {
            stream.write_all(head.as_bytes()).await?;
            tokio::time::sleep(pause).await;
            stream.write_all(body).await
        }
    }
}

/// The body with the second host's name filled in, where pages link to it.
fn with_elsewhere(resource: &Resource, own_host: &str) -> std::sync::Arc<[u8]> {
    let marker = ELSEWHERE.as_bytes();
    let mentioned = |body: &[u8]| body.windows(marker.len()).any(|window| window == marker);
    if !resource.content_type.starts_with("text/html") || !mentioned(&resource.body) {
        return resource.body.clone();
    }
    let port = own_host.rsplit_once(':').map_or("80", |(_, port)| port);
    let name = format!("http://localhost:{port}");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;
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
        let path = web.resources().iter().find(|(_, r)| String::from_utf8_lossy(&r.body).contains(ELSEWHERE)).expect("a link").0;
        let page = ask(address, &format!("GET {path} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n")).await;
        let page = String::from_utf8_lossy(&page);
        assert!(page.contains(&format!("http://localhost:{}/friends", address.port())) && !page.contains(ELSEWHERE));
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
