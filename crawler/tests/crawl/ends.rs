//! How a crawl ends before its work does, and what it tells while it goes on.

use crate::corpus::{check_pool, options, outcomes, run};
use crate::server::{Answer, Server, png};
use crate::twin::Twin;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn list(folder: &Path, base: &str, rows: u32) -> String {
    let rows: String = (0..rows).map(|i| format!("{base}/{i}.png,picture {i}\n")).collect();
    let path = folder.join("list.csv");
    std::fs::write(&path, format!("url,caption\n{rows}")).expect("written");
    format!("urls:{}", path.display())
}

/// A server that answers each request after a while, and pictures whose number ends in 7 never.
async fn slow() -> String {
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
                if head.contains("7.png") {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                let Answer(bytes) = if head.contains(".png") { Answer::image(&png(head.len() as u32)) } else { Answer::missing() };
                stream.write_all(&bytes).await
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_records_its_work_and_goes_on_later() {
    let base = slow().await;
    let dir = tempfile::tempdir().expect("a folder");
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    let mut options = options(&corpus, &[list(dir.path(), &base, 400)]);
    options.timeout = Duration::from_secs(30);
    let stop = options.stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        stop.cancel();
    });
    let begun = Instant::now();
    let first = run(&options, &ledger, None).await.expect("stopped");
    // The time before, the time to drain, and what a busy machine takes.
    assert!(begun.elapsed() < Duration::from_millis(1200) + crawler::DRAIN + Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(first.pairs > 0 && first.pairs < 300, "{first:?}");
    assert!(outcomes(&corpus).values().all(|outcome| outcome == "ok"), "what was let go is not decided");
    options.stop = Default::default();
    // Long enough for 360 answers at once on a busy machine; those that never come take as long.
    options.timeout = Duration::from_secs(6);
    options.retries = 0;
    options.host_connections = 0;
    run(&options, &ledger, None).await.expect("crawled");
    let found = outcomes(&corpus);
    assert_eq!(found.len(), 400);
    assert_eq!(found.values().filter(|outcome| *outcome == "ok").count(), 360);
    assert_eq!(found.values().filter(|outcome| *outcome == "timeout").count(), 40);
    assert_eq!(check_pool(&corpus).len(), 360);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 16];
            let _ = stream.read(&mut head).await;
            if head.starts_with(b"GET /robots.txt ") || head.starts_with(b"GET /ai.txt ") || head.starts_with(b"GET /.well-known") {
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
            } else {
                held.push(stream);
            }
        }
    });
    let dir = tempfile::tempdir().expect("a folder");
    let corpus = dir.path().join("corpus");
    let mut options = options(&corpus, &[list(dir.path(), &base, 400)]);
    options.timeout = Duration::from_millis(300);
    options.retries = 0;
    let begun = Instant::now();
    run(&options, &Arc::new(Twin::default()), None).await.expect("crawled");
    // All 400 at four connections would take 30 seconds.
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    let found = outcomes(&corpus);
    assert!(found.len() == 400 && found.values().all(|outcome| outcome == "timeout"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_served_while_it_goes_on() {
    let base = slow().await;
    let dir = tempfile::tempdir().expect("a folder");
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let mut options = options(&dir.path().join("corpus"), &[list(dir.path(), &base, 60)]);
    options.metrics = Some(free);
    // Its one job waits for the pictures that never come: what it has decided shows before it ends.
    options.timeout = Duration::from_secs(60);
    let stop = options.stop.clone();
    let crawl = tokio::spawn(async move { run(&options, &Arc::new(Twin::default()), None).await });
    let mut page = String::new();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Ok(mut stream) = TcpStream::connect(free).await {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("asked");
            page.clear();
            let _ = stream.read_to_string(&mut page).await;
            if page.contains("diptych_crawl_decisions_total{outcome=\"ok\"}") {
                break;
            }
        }
    }
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("diptych_crawl_decisions_total{outcome=\"ok\"}"), "{page}");
    assert!(page.contains("# TYPE diptych_crawl_in_flight gauge"), "{page}");
    let mut stream = TcpStream::connect(free).await.expect("connected");
    stream.write_all(b"HEAD /metrics?x=1 HTTP/1.1\r\n\r\n").await.expect("asked");
    let mut head = String::new();
    let _ = stream.read_to_string(&mut head).await;
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n"), "{head}");
    let mut stream = TcpStream::connect(free).await.expect("connected");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("asked");
    let mut other = String::new();
    let _ = stream.read_to_string(&mut other).await;
    assert!(other.starts_with("HTTP/1.1 404"), "{other}");
    assert!(!crawl.is_finished());
    stop.cancel();
    crawl.await.expect("no panic").expect("crawled");
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_reserved_for_a_whole_host_are_kept() {
    let server = Server::start(|path, _| match path {
        "/ai.txt" => Answer::text("User-Agent: *\nDisallow: *.jpg\n"),
        "/.well-known/tdmrep.json" => Answer::text(r#"[{"location": "/art/*", "tdm-reservation": 1}]"#),
        "/robots.txt" => Answer::missing(),
        _ => Answer::image(&png(path.len() as u32)),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("list.csv");
    let rows: String = ["/a.jpg", "/art/b.png", "/c.png"].iter().map(|path| format!("{},a picture\n", server.url(path))).collect();
    std::fs::write(&path, format!("url,caption\n{rows}")).expect("written");
    let corpus = dir.path().join("corpus");
    run(&options(&corpus, &[format!("urls:{}", path.display())]), &Arc::new(Twin::default()), None).await.expect("crawled");
    let found = outcomes(&corpus);
    let outcome = |path: &str| found[&format!("{path} a picture")].as_str();
    assert_eq!((outcome("/a.jpg"), outcome("/art/b.png"), outcome("/c.png")), ("opted_out", "opted_out", "ok"));
    let requests = server.requests();
    assert!(!requests.contains_key("/a.jpg") && !requests.contains_key("/art/b.png"), "{requests:?}");
    assert_eq!((requests["/ai.txt"], requests["/.well-known/tdmrep.json"]), (1, 1));
}
