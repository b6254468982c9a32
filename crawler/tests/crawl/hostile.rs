//! Servers that want to harm: bodies without end, bombs, lies, and ways into networks that are none of ours.

use crate::corpus::{options, outcomes, run};
use crate::server::{Answer, Server, png};
use crate::twin::Twin;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server whose answers may take forever: `behave` gets the path and the stream once the request is read.
async fn start<F>(behave: impl Fn(String, TcpStream) -> F + Copy + Send + 'static) -> String
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await?);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                behave(head.split(' ').nth(1).unwrap_or_default().to_string(), stream).await
            });
        }
    });
    format!("http://{address}")
}

/// Crawls a list of the paths on a server and gives their outcomes by path.
async fn crawl(base: &str, paths: &[&str], timeout: Duration) -> BTreeMap<String, String> {
    let dir = tempfile::tempdir().expect("a folder");
    let rows: String = paths.iter().map(|path| format!("{base}{path},a picture\n")).collect();
    let list = dir.path().join("list.csv");
    std::fs::write(&list, format!("url,caption\n{rows}")).expect("written");
    let mut options = options(&dir.path().join("corpus"), &[format!("urls:{}", list.display())]);
    options.timeout = timeout;
    options.retries = 0;
    options.host_connections = 0;
    run(&options, &Arc::new(Twin::default()), None).await.expect("crawled");
    outcomes(&dir.path().join("corpus"))
}

fn expected(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(path, outcome)| (format!("{path} a picture"), outcome.to_string())).collect()
}

/// Bytes sent by the endless body.
static SENT: AtomicU64 = AtomicU64::new(0);

async fn without_end(path: String, mut stream: TcpStream) -> std::io::Result<()> {
    let head = |more: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nConnection: close\r\n{more}\r\n");
    match path.as_str() {
        "/drip.jpg" => {
            stream.write_all(head("Content-Length: 1000\r\n").as_bytes()).await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        "/drip-head.jpg" => loop {
            stream.write_all(b"H").await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        },
        "/endless.jpg" => {
            stream.write_all(head("").as_bytes()).await?;
            loop {
                stream.write_all(&[7; 65_536]).await?;
                SENT.fetch_add(65_536, Ordering::Relaxed);
            }
        }
        "/headers.jpg" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            for i in 0..200_000 {
                stream.write_all(format!("X-{i}: {}\r\n", "y".repeat(100)).as_bytes()).await?;
            }
            Ok(())
        }
        "/silent.jpg" => std::future::pending().await,
        "/good.jpg" => {
            let picture = png(3);
            stream.write_all(head(&format!("Content-Length: {}\r\n", picture.len())).as_bytes()).await?;
            stream.write_all(&picture).await
        }
        _ => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_ends_is_ended() {
    let base = start(without_end).await;
    let begun = Instant::now();
    let paths = ["/drip.jpg", "/drip-head.jpg", "/endless.jpg", "/headers.jpg", "/silent.jpg", "/good.jpg"];
    let found = crawl(&base, &paths, Duration::from_secs(3)).await;
    let wanted = [
        ("/drip.jpg", "timeout"),
        ("/drip-head.jpg", "timeout"),
        ("/endless.jpg", "too_big"),
        ("/headers.jpg", "connect"),
        ("/silent.jpg", "timeout"),
        ("/good.jpg", "ok"),
    ];
    assert_eq!(found, expected(&wanted));
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    // What lay in buffers on the way besides the 32 MiB that are read.
    assert!(SENT.load(Ordering::Relaxed) < 64 << 20, "{} bytes were taken", SENT.load(Ordering::Relaxed));
}

/// A PNG whose header says these sides, with a sound check sum, and a little data.
fn png_of(width: u32, height: u32) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8], data: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(kind);
        sum.update(data);
        out.extend((data.len() as u32).to_be_bytes());
        out.extend(kind);
        out.extend(data);
        out.extend(sum.sum().to_be_bytes());
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let mut data = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    data.write_all(&vec![0; 1 << 20]).expect("packed");
    chunk(b"IHDR", &header);
    chunk(b"IDAT", &data.finish().expect("packed"));
    chunk(b"IEND", b"");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_and_lies_cost_themselves_only() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..200).for_each(|_| bomb.write_all(&zeros).expect("packed"));
    let bomb = bomb.finish().expect("packed");
    assert!(bomb.len() < 1 << 20);
    let server = Server::start(move |path, _| match path {
        "/gzip.jpg" => Answer::new("200 OK", &["Content-Type: image/jpeg", "Content-Encoding: gzip"], &bomb),
        "/wide.png" => Answer::image(&png_of(60_000, 60_000)),
        "/large.png" => Answer::image(&png_of(16_000, 16_000)),
        "/short.png" => Answer::image(&png_of(4_000, 4_000)),
        "/page.png" => Answer::new("200 OK", &["Content-Type: image/png"], b"<html><script>alert(1)</script></html>"),
        "/picture.html" => Answer::new("200 OK", &["Content-Type: text/html"], &png(5)),
        "/drawing.svg" => {
            Answer::new("200 OK", &["Content-Type: image/svg+xml"], b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>")
        }
        "/..%2Fup.png" => Answer::image(&png(6)),
        "/not-gzip.png" => Answer::new("200 OK", &["Content-Encoding: gzip"], b"no gzip at all"),
        _ => Answer::missing(),
    })
    .await;
    let paths = [
        "/gzip.jpg",
        "/wide.png",
        "/large.png",
        "/short.png",
        "/page.png",
        "/picture.html",
        "/drawing.svg",
        "/%2e%2e%2fup.png",
        "/not-gzip.png",
    ];
    let found = crawl(&server.url(""), &paths, Duration::from_secs(20)).await;
    let wanted = [
        ("/gzip.jpg", "too_big"),
        ("/wide.png", "too_big"),
        ("/large.png", "too_big"),
        ("/short.png", "decode"),
        ("/page.png", "not_image"),
        ("/picture.html", "ok"),
        ("/drawing.svg", "not_image"),
        ("/..%2Fup.png", "ok"),
        ("/not-gzip.png", "not_image"),
    ];
    assert_eq!(found, expected(&wanted));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_leads_into_private_networks() {
    let inside = Server::start(|_, _| Answer::image(&png(1))).await;
    let (_, port) = inside.address.rsplit_once(':').expect("a port");
    let dir = tempfile::tempdir().expect("a folder");
    let list = dir.path().join("list.csv");
    // Addresses in every spelling, and names of this machine: none may be connected to without leave.
    let rows = [
        format!("http://127.0.0.1:{port}/1.png"),
        format!("http://127.1:{port}/2.png"),
        format!("http://0x7f000001:{port}/3.png"),
        format!("http://[::ffff:127.0.0.1]:{port}/4.png"),
        format!("http://localhost:{port}/5.png"),
        format!("http://photos.localhost:{port}/6.png"),
        format!("http://169.254.169.254:{port}/7.png"),
        format!("http://10.0.0.1:{port}/8.png"),
        format!("http://[fd00::1]:{port}/9.png"),
        format!("http://0.0.0.0:{port}/10.png"),
    ];
    let text: String = rows.iter().map(|url| format!("{url},a picture\n")).collect();
    std::fs::write(&list, format!("url,caption\n{text}")).expect("written");
    let mut options = options(&dir.path().join("corpus"), &[format!("urls:{}", list.display())]);
    options.allow_private = false;
    options.contact = Some("someone@example.org".to_string());
    let begun = Instant::now();
    run(&options, &Arc::new(Twin::default()), None).await.expect("crawled");
    let found = outcomes(&dir.path().join("corpus"));
    assert_eq!(found.len(), rows.len());
    assert!(found.values().all(|outcome| outcome == "unsafe_address"), "{found:?}");
    assert!(inside.requests().is_empty(), "{:?}", inside.requests());
    assert!(begun.elapsed() < Duration::from_secs(10), "something was waited for: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_into_a_cloud_is_not_followed() {
    let server = Server::start(|path, _| match path {
        "/moved.png" => Answer::redirect("http://169.254.169.254/latest/meta-data/iam/"),
        "/again.png" => Answer::redirect("/moved.png"),
        _ => Answer::missing(),
    })
    .await;
    let begun = Instant::now();
    let found = crawl(&server.url(""), &["/moved.png", "/again.png"], Duration::from_secs(20)).await;
    assert_eq!(found, expected(&[("/moved.png", "unsafe_address"), ("/again.png", "unsafe_address")]));
    assert!(begun.elapsed() < Duration::from_secs(10), "a connection was tried: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_100_000_nested_elements_harms_nobody() {
    let deep = format!("{}<img src=/deep.png alt='a deep picture'>{}", "<div>".repeat(100_000), "</div>".repeat(100_000));
    let server = Server::start(move |path, _| match path {
        "/" => Answer::html(&deep),
        "/plain.html" => Answer::html("<img src=/plain.png alt='a plain picture'>"),
        "/deep.png" | "/plain.png" => Answer::image(&png(path.len() as u32)),
        _ => Answer::missing(),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let seeds = ["/", "/plain.html"].map(|path| format!("web:{}", server.url(path)));
    run(&options(dir.path(), &seeds), &Arc::new(Twin::default()), None).await.expect("crawled");
    // Whether anything so deep is found is the parser's affair; here it must not take the crawl with it.
    assert_eq!(outcomes(dir.path()).get("/plain.png a plain picture").map(String::as_str), Some("ok"));
    assert_eq!(server.requests()["/"], 1);
}
