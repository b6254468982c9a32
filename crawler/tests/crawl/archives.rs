//! Crawls of WARC and WAT files.

use crate::corpus::{Words, candidates, check_pool, options, outcomes, run};
use crate::server::{Answer, Server, gzip, png};
use crate::twin::Twin;
use crawler::{CrawlOptions, Matcher, scan};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn image(path: &str, _: u64) -> Answer {
    match path.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u32>() {
        Ok(n) if n % 10 != 9 => Answer::image(&png(n)),
        _ => Answer::missing(),
    }
}

fn record(kind: &str, uri: &str, block: &[u8]) -> Vec<u8> {
    let head = format!(
        "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\nWARC-Date: 2026-01-01T00:00:01Z\r\nContent-Length: {}\r\n\r\n",
        block.len()
    );
    gzip(&[head.as_bytes(), block, b"\r\n\r\n"].concat())
}

fn word(i: u32) -> &'static str {
    ["cat", "dog", "stone"][i as usize % 3]
}

/// A WARC file of 40 pages with 5 images each; the third record is cut, and the tenth page asks to be left out.
fn warc(path: &Path, server: &Server) {
    let mut file = record("warcinfo", "", b"software: none");
    for page in 0..40 {
        let images: String = (0..5).map(|i| page * 5 + i).map(|i| format!("<img src='/{i}.png' alt='{} {i}'>", word(i))).collect();
        let refusal = if page == 9 { "X-Robots-Tag: noai\r\n" } else { "" };
        let message = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{refusal}\r\n<title>t</title>{images}");
        let uri = server.url(&format!("/page/{page}"));
        file.extend(record("request", &uri, b"GET / HTTP/1.1\r\n\r\n"));
        let response = record("response", &uri, message.as_bytes());
        file.extend_from_slice(if page == 2 { &response[..response.len() / 2] } else { &response });
    }
    std::fs::write(path, file).expect("written");
}

/// The same pages as Common Crawl's extractor writes them.
fn wat(path: &Path, server: &Server) {
    let mut file = Vec::new();
    for page in 0..40 {
        let links: Vec<serde_json::Value> = (0..5)
            .map(|i| page * 5 + i)
            .map(|i| serde_json::json!({"path": "IMG@/src", "url": format!("/{i}.png"), "alt": format!("{} {i}", word(i))}))
            .collect();
        let headers = if page == 9 { serde_json::json!({"x-robots-tag": "noai"}) } else { serde_json::json!({}) };
        let response = serde_json::json!({"Headers": headers, "HTML-Metadata": {"Head": {}, "Links": links}});
        let block = serde_json::json!({"Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": response}}}).to_string();
        let packed = record("metadata", &server.url(&format!("/page/{page}")), block.as_bytes());
        file.extend_from_slice(if page == 2 { &packed[..packed.len() / 2] } else { &packed });
    }
    std::fs::write(path, file).expect("written");
}

fn small_jobs(corpus: &Path, source: &str) -> CrawlOptions {
    let mut options = options(corpus, &[source.to_string()]);
    options.sizes.candidates = 20;
    options
}

fn matcher() -> Option<Arc<dyn Matcher>> {
    Some(Arc::new(Words { words: vec!["cat", "dog"], cap: 30 }))
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_are_matched_first_and_fetched_after() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    warc(&dir.path().join("a.warc.gz"), &server);
    wat(&dir.path().join("a.warc.wat.gz"), &server);
    let mut both = Vec::new();
    for kind in ["warc", "wat"] {
        let source = format!("{kind}:{}", dir.path().join(if kind == "wat" { "a.warc.wat.gz" } else { "a.warc.gz" }).display());
        let (corpus, ledger) = (dir.path().join(kind), Arc::new(Twin::default()));
        let summary = run(&small_jobs(&corpus, &source), &ledger, matcher()).await.expect("crawled");
        // 40 pages less the cut one, 5 images each.
        assert_eq!(summary.candidates, 195, "{kind}");
        let seen = ledger.outcomes();
        assert_eq!((seen["page:ok"], seen["page:opted_out"], seen["record:damaged"]), (38, 1, 1), "{kind}: {seen:?}");
        assert_eq!(ledger.counts(), BTreeMap::from([(0, 66), (1, 65)]), "{kind}");
        let rule = Words { words: vec!["cat", "dog"], cap: 30 };
        for row in candidates(&corpus).values() {
            assert_eq!(row.source, source);
            assert_eq!(row.found_ms, 1_767_225_601_000);
            assert!(row.page_url.starts_with(&server.url("/page/")));
            if !["unmatched", "opted_out"].contains(&row.outcome.as_str()) {
                assert_eq!(row.outcome == "full", !rule.inside(&row.pair_id, &row.query_ids, &|query| 66 - u64::from(query)), "{row:?}");
            }
        }
        assert!(seen["full"] > 20 && seen["opted_out"] == 4, "{seen:?}");
        check_pool(&corpus);
        assert_eq!(ledger.states(), ["done"]);
        assert!(run(&small_jobs(&corpus, &source), &ledger, matcher()).await.expect("crawled").is_idle());
        both.push(outcomes(&corpus));
    }
    assert_eq!(both[0], both[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_cut_off_anywhere_ends_as_if_undisturbed() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    wat(&dir.path().join("a.wat.gz"), &server);
    let source = format!("wat:{}", dir.path().join("a.wat.gz").display());
    let calm = dir.path().join("calm");
    run(&small_jobs(&calm, &source), &Arc::default(), matcher()).await.expect("crawled");
    let (corpus, ledger) = (dir.path().join("cut"), Arc::new(Twin::default()));
    let mut cuts = 0;
    for wait in (1..).map(|i| Duration::from_millis(2 * i)) {
        match tokio::time::timeout(wait, run(&small_jobs(&corpus, &source), &ledger, matcher())).await {
            Ok(summary) => {
                summary.expect("crawled");
                break;
            }
            Err(_) => cuts += 1,
        }
    }
    assert!(cuts > 3, "{cuts}");
    assert_eq!(outcomes(&corpus), outcomes(&calm));
    assert_eq!(check_pool(&corpus), check_pool(&calm));
    assert_eq!(ledger.counts(), BTreeMap::from([(0, 66), (1, 65)]));
    assert_eq!(ledger.outcomes()["record:damaged"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_archives_on_a_server_are_read() {
    let files = Arc::new(std::sync::Mutex::new(BTreeMap::<String, Vec<u8>>::new()));
    let served = files.clone();
    let server = Server::start(move |path, before| match served.lock().expect("no panic").get(path) {
        Some(bytes) => Answer::new("200 OK", &[], bytes),
        None => image(path, before),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    wat(&dir.path().join("a.wat.gz"), &server);
    let list = "crawl-data/CC/a.wat.gz\ncrawl-data/CC/gone.wat.gz\ncrawl-data/CC/third.wat.gz\n";
    files.lock().expect("no panic").extend([
        ("/crawl-data/CC/wat.paths.gz".to_string(), gzip(list.as_bytes())),
        ("/crawl-data/CC/a.wat.gz".to_string(), std::fs::read(dir.path().join("a.wat.gz")).expect("read")),
    ]);
    let source = format!("wat:{}", server.url("/crawl-data/CC/wat.paths.gz"));
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    let mut options = options(&corpus, std::slice::from_ref(&source));
    options.limit = Some(2);
    let summary = run(&options, &ledger, None).await.expect("crawled");
    assert_eq!((summary.candidates, ledger.outcomes()["archive:missing"]), (195, 1));
    assert_eq!(server.requests().get("/crawl-data/CC/third.wat.gz"), None);
    // Without a corpus the same pairs are listed, opted-out ones marked.
    let listed = std::thread::spawn(move || {
        let mut out = Vec::new();
        scan(&options, &mut out).map(|seen| (seen, out))
    });
    let (seen, out) = tokio::task::spawn_blocking(|| listed.join()).await.expect("joined").expect("no panic").expect("listed");
    assert_eq!((seen.pairs, seen.pages, seen.damaged, seen.missing), (195, 39, 1, 1));
    let lines: Vec<serde_json::Value> =
        String::from_utf8(out).expect("UTF-8").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.iter().filter(|line| line["opt_out"] == "noai").count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_between_records_costs_itself_whatever_a_job_holds() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.wat.gz");
    let mut file = Vec::new();
    for page in 0..40u32 {
        if page == 3 || page == 8 {
            file.extend((0..333u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 & 0xe7));
        }
        let link = serde_json::json!({"path": "IMG@/src", "url": format!("/{page}0.png"), "alt": format!("cat {page}")});
        let response = serde_json::json!({"Headers": {}, "HTML-Metadata": {"Head": {}, "Links": [link]}});
        let block = serde_json::json!({"Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": response}}}).to_string();
        file.extend(record("metadata", &server.url(&format!("/page/{page}")), block.as_bytes()));
    }
    // The first byte is wrong too, which costs the first record.
    file[0] = 0x1e;
    std::fs::write(&path, file).expect("written");
    for size in [3, 4, 10] {
        let (corpus, ledger) = (dir.path().join(format!("corpus{size}")), Arc::new(Twin::default()));
        let mut options = options(&corpus, &[format!("wat:{}", path.display())]);
        options.sizes.candidates = size;
        let summary = run(&options, &ledger, None).await.expect("crawled");
        assert_eq!((summary.candidates, ledger.outcomes()["record:damaged"]), (39, 3), "jobs of {size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_was_named_must_be_there() {
    let there = Arc::new(std::sync::Mutex::new(None::<Vec<u8>>));
    let served = there.clone();
    let server = Server::start(move |path, before| match served.lock().expect("no panic").as_ref() {
        Some(bytes) if path == "/a.wat.gz" => Answer::new("200 OK", &[], bytes),
        _ => image(path, before),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    let options = small_jobs(&dir.path().join("corpus"), &format!("wat:{}", server.url("/a.wat.gz")));
    for _ in 0..2 {
        let error = run(&options, &ledger, None).await.expect_err("refused");
        assert!(!error.is_usage() && error.to_string().contains("/a.wat.gz"), "{error}");
    }
    let pattern = small_jobs(&dir.path().join("other"), &format!("wat:{}", server.url("/x/*.wat.gz")));
    let error = run(&pattern, &Arc::new(Twin::default()), None).await.expect_err("refused");
    assert!(error.to_string().contains("folders and patterns"), "{error}");
    // Nothing was taken for done: once it is there, it is read.
    wat(&dir.path().join("a.wat.gz"), &server);
    *there.lock().expect("no panic") = Some(std::fs::read(dir.path().join("a.wat.gz")).expect("read"));
    // The server knows no ranges, and the file is longer than a job.
    assert_eq!(run(&options, &ledger, None).await.expect("crawled").candidates, 195);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_waits_for_the_other_archives() {
    // Accepts, and says nothing for as long as the test takes.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let dir = tempfile::tempdir().expect("a folder");
    let list = dir.path().join("some.paths");
    let names = format!("http://{}/a.wat.gz\nhttp://example.org/b.wat.gz\n", silent.local_addr().expect("an address"));
    std::fs::write(&list, names).expect("written");
    let options = small_jobs(&dir.path().join("corpus"), &format!("wat:{}", list.display()));
    let ledger = Arc::new(Twin::default());
    let begun = std::time::Instant::now();
    let error = run(&options, &ledger, None).await.expect_err("refused");
    assert!(error.is_usage() && error.to_string().contains("--contact"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // Nobody is left who holds the catalogue.
    assert_eq!(Arc::strong_count(&ledger), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_waits_for_no_silent_archive() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let dir = tempfile::tempdir().expect("a folder");
    let source = format!("wat:http://{}/a.wat.gz", silent.local_addr().expect("an address"));
    let options = small_jobs(&dir.path().join("corpus"), &source);
    let stop = options.stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stop.cancel();
    });
    let begun = std::time::Instant::now();
    let summary = run(&options, &Arc::new(Twin::default()), None).await.expect("stopped");
    assert!(begun.elapsed() < crawler::DRAIN + Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(summary.stopped && !summary.is_idle(), "{summary}");
}
