//! Crawls of search services: local servers that answer as Openverse and Wikimedia Commons document it.

use crate::corpus::{Words, candidates, check_pool, options, outcomes, run};
use crate::server::{Answer, Server, png};
use crate::twin::Twin;
use crawler::Matcher;
use serde_json::json;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use url::Url;

type Address = Arc<OnceLock<String>>;

fn json(value: &serde_json::Value) -> Answer {
    Answer::new("200 OK", &["Content-Type: application/json"], value.to_string().as_bytes())
}

fn parameter(path: &str, name: &str) -> String {
    let url = Url::parse("http://e.org").and_then(|base| base.join(path)).expect("a URL");
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Openverse with 3 pages of 4 images for each query; images of different queries differ.
fn openverse(address: &Address, path: &str) -> Answer {
    let (query, page) = (parameter(path, "q"), parameter(path, "page").parse::<u32>().expect("a number"));
    assert_eq!(parameter(path, "page_size"), "20");
    let image = |i: u32| {
        let number = 10 * page + i + 100 * query.len() as u32;
        json!({"id": number.to_string(), "title": format!("a {query} {number}"), "url": format!("{}/{number}.png", address.get().expect("set")),
            "foreign_landing_url": format!("https://flickr.example/{number}"), "creator": "Ann", "license": "by", "license_version": "4.0",
            "license_url": "https://creativecommons.org/licenses/by/4.0/"})
    };
    json(&json!({"result_count": 12, "page_count": 3, "page_size": 20, "page": page, "results": (0..4).map(image).collect::<Vec<_>>()}))
}

/// Commons with 2 replies of 3 files for each query.
fn commons(address: &Address, path: &str) -> Answer {
    let search = parameter(path, "gsrsearch");
    let query = search.split('"').nth(1).expect("a phrase").to_string();
    assert_eq!((parameter(path, "generator").as_str(), parameter(path, "gsrnamespace").as_str()), ("search", "6"));
    let offset = parameter(path, "gsroffset").parse::<u32>().unwrap_or(0);
    let file = |i: u32| {
        let number = offset + i + 200 * query.len() as u32;
        json!({"pageid": number, "ns": 6, "title": format!("File:A {query} {number}.jpg"), "index": i + 1, "imageinfo": [{
            "url": format!("{}/full/{number}.png", address.get().expect("set")), "thumburl": format!("{}/{number}.png", address.get().expect("set")),
            "descriptionurl": format!("https://commons.example/{number}"), "extmetadata": {"Artist": {"value": "<b>Ben</b>"},
            "LicenseShortName": {"value": "CC0"}, "ImageDescription": {"value": format!("<p>A {query} in the <i>sun</i>, {number}</p>")}}}]})
    };
    let pages: Vec<_> = (0..3).map(file).collect();
    match offset {
        0 => json(&json!({"continue": {"gsroffset": 3, "continue": "gsroffset||"}, "query": {"pages": pages}})),
        _ => json(&json!({"batchcomplete": true, "query": {"pages": pages}})),
    }
}

async fn serve(busy: bool) -> (Server, Address) {
    let address = Address::default();
    let known = address.clone();
    let server = Server::start(move |path, before| match path.split('?').next().unwrap_or_default() {
        "/robots.txt" => Answer::text("User-agent: *\nDisallow: /w/\nDisallow: /v1/\n"),
        "/v1/images/" if busy && before == 0 => Answer::new("429 Too Many Requests", &["Retry-After: 0"], b"{}"),
        "/v1/images/" => openverse(&known, path),
        "/w/api.php" if busy && before == 0 => json(&json!({"error": {"code": "maxlag", "info": "Waiting for a database server"}})),
        "/w/api.php" => commons(&known, path),
        path => path.trim_matches(|c: char| !c.is_ascii_digit()).parse().map_or(Answer::missing(), |n| Answer::image(&png(n))),
    })
    .await;
    address.set(server.url("")).expect("set once");
    (server, address)
}

fn words(cap: u64) -> Option<Arc<dyn Matcher>> {
    Some(Arc::new(Words { words: vec!["cat", "horse"], cap }))
}

/// Search requests in the order they were made.
fn asked(server: &Server) -> Vec<String> {
    let line = |head: &String| head.split(' ').nth(1).unwrap_or_default().to_string();
    server.heads().iter().map(line).filter(|path| path.contains('?')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_asked_until_they_have_no_more() {
    let (server, _) = serve(true).await;
    for (source, each) in [("openverse:/v1/images/", 12), ("commons:/w/api.php", 12)] {
        let dir = tempfile::tempdir().expect("a folder");
        let (kind, path) = source.split_once(':').expect("a kind");
        let ledger = Arc::new(Twin::default());
        let options = options(dir.path(), &[format!("{kind}:{}", server.url(path))]);
        let summary = run(&options, &ledger, words(100)).await.expect("crawled");
        assert_eq!((summary.candidates, summary.pairs), (2 * each, 2 * each), "{kind}: {:?}", summary.outcomes);
        let rows = candidates(dir.path());
        let row = rows.values().find(|row| row.caption.contains("horse")).expect("a row");
        assert_eq!(row.source, format!("{kind}:horse"));
        match kind {
            "openverse" => {
                assert_eq!((row.author.as_str(), row.licence.as_str()), ("Ann", "https://creativecommons.org/licenses/by/4.0/"));
                assert!(row.page_url.starts_with("https://flickr.example/"));
            }
            _ => {
                assert_eq!((row.author.as_str(), row.licence.as_str()), ("Ben", "CC0"));
                assert!(rows.values().any(|row| row.field == "description" && row.caption.starts_with("A cat in the sun, ")));
                assert!(rows.values().all(|row| !row.image_url.contains("/full/")), "copies of the size that is needed");
            }
        }
        assert_eq!(check_pool(dir.path()).len() as u64, 2 * each);
        assert_eq!(ledger.states(), ["done"]);
        assert!(run(&options, &ledger, words(100)).await.expect("crawled").is_idle());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_with_the_fewest_pairs_come_first_and_full_ones_rest() {
    let (server, _) = serve(false).await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    let mut options = options(dir.path(), &[format!("openverse:{}", server.url("/v1/images/"))]);
    options.sizes.pages = 1;
    options.jobs = 1;
    run(&options, &ledger, words(7)).await.expect("crawled");
    // Four pairs after the first page of each, eight after the second: enough.
    let pages: Vec<(String, String)> = asked(&server).iter().map(|path| (parameter(path, "q"), parameter(path, "page"))).collect();
    let expected = [("cat", "1"), ("horse", "1"), ("cat", "2"), ("horse", "2")];
    assert_eq!(pages, expected.map(|(query, page)| (query.to_string(), page.to_string())));
    assert_eq!(ledger.counts().values().copied().collect::<Vec<_>>(), [8, 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_cut_off_anywhere_ends_as_if_undisturbed() {
    let (server, _) = serve(false).await;
    let dir = tempfile::tempdir().expect("a folder");
    let source = format!("commons:{}", server.url("/w/api.php"));
    let small = |corpus: &std::path::Path| {
        let mut options = options(corpus, std::slice::from_ref(&source));
        options.sizes.pages = 1;
        options
    };
    let calm = dir.path().join("calm");
    run(&small(&calm), &Arc::default(), words(100)).await.expect("crawled");
    let (corpus, ledger) = (dir.path().join("cut"), Arc::new(Twin::default()));
    let mut cuts = 0;
    for wait in (1..).map(|i| Duration::from_millis(2 * i)) {
        match tokio::time::timeout(wait, run(&small(&corpus), &ledger, words(100))).await {
            Ok(summary) => {
                summary.expect("crawled");
                break;
            }
            Err(_) => cuts += 1,
        }
    }
    assert!(cuts > 1, "{cuts}");
    assert_eq!(outcomes(&corpus), outcomes(&calm));
    assert_eq!(check_pool(&corpus), check_pool(&calm));
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_need_queries() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = options(dir.path(), &["commons:http://127.0.0.1:9/w/api.php".to_string()]);
    let error = run(&options, &Arc::default(), None).await.expect_err("refused");
    assert!(error.is_usage() && error.to_string().contains("--queries"), "{error}");
}

/// Part of a query, and the status and body with which searches for it are answered, while there are such.
type Ill = Arc<Mutex<Option<(&'static str, &'static str, &'static str)>>>;

/// A service that is ill as told.
async fn serve_ill(ill: Ill) -> (Server, Address) {
    let address = Address::default();
    let known = address.clone();
    let server = Server::start(move |path, _| match path.split('?').next().unwrap_or_default() {
        "/v1/images/" => match *ill.lock().expect("no test panicked before") {
            Some((query, status, body)) if parameter(path, "q").contains(query) => Answer::new(status, &[], body.as_bytes()),
            _ => openverse(&known, path),
        },
        path => path.trim_matches(|c: char| !c.is_ascii_digit()).parse().map_or(Answer::missing(), |n| Answer::image(&png(n))),
    })
    .await;
    address.set(server.url("")).expect("set once");
    (server, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_down_is_left_alone_and_nothing_is_lost() {
    let ill = Arc::new(Mutex::new(None));
    let (server, _) = serve_ill(ill.clone()).await;
    for (status, body, said) in
        [("500 Oops", "", "http_5xx"), ("200 OK", "<html>", "unreadable"), ("503 Busy", "", "503"), ("429 Wait", "", "http_429")]
    {
        let dir = tempfile::tempdir().expect("a folder");
        let ledger = Arc::new(Twin::default());
        let mut options = options(dir.path(), &[format!("openverse:{}", server.url("/v1/images/"))]);
        options.retries = 0;
        *ill.lock().expect("no test panicked before") = Some(("", status, body));
        let before = asked(&server).len();
        let error = run(&options, &ledger, words(100)).await.expect_err("nothing was had").to_string();
        assert!(error.contains("failed 5 times in a row") && error.contains(said) && error.contains("2 requests wait"), "{error}");
        assert_eq!(asked(&server).len() - before, 5);
        assert!(ledger.pages().values().all(String::is_empty) && ledger.outcomes().is_empty(), "{:?}", ledger.outcomes());
        *ill.lock().expect("no test panicked before") = None;
        let summary = run(&options, &ledger, words(100)).await.expect("crawled");
        assert_eq!((summary.pairs, ledger.states()), (24, vec!["done".to_string()]), "{said}");
        assert!(ledger.pages().values().all(|outcome| outcome == "ok"));
    }
    let dir = tempfile::tempdir().expect("a folder");
    let mut closed = options(dir.path(), &["openverse:http://127.0.0.1:1/v1/images/".to_string()]);
    closed.retries = 0;
    let error = run(&closed, &Arc::default(), words(100)).await.expect_err("nothing was had").to_string();
    assert!(error.contains("connect") && error.contains("2 requests wait"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_always_fail_come_last_and_are_decided() {
    for (status, body, outcome, runs) in
        [("200 OK", "<html>", "page:unreadable", 2), ("500 Oops", "", "page:http_5xx", 2), ("400 Bad Request", "", "page:http_4xx", 1)]
    {
        let ill = Arc::new(Mutex::new(Some(("bad", status, body))));
        let (server, _) = serve_ill(ill).await;
        let dir = tempfile::tempdir().expect("a folder");
        let ledger = Arc::new(Twin::default());
        let mut options = options(dir.path(), &[format!("openverse:{}", server.url("/v1/images/"))]);
        options.retries = 0;
        let words = || -> Option<Arc<dyn Matcher>> {
            Some(Arc::new(Words { words: vec!["bad1", "bad2", "bad3", "bad4", "bad5", "bad6", "cat", "horse"], cap: 100 }))
        };
        // Six in a row come first: that may end the service once, but the next run begins with the others.
        for _ in 1..runs {
            let error = run(&options, &ledger, words()).await.expect_err("nothing was had").to_string();
            assert!(error.contains("failed 5 times in a row"), "{error}");
        }
        let summary = run(&options, &ledger, words()).await.expect("crawled");
        assert_eq!((summary.pairs, ledger.outcomes()[outcome]), (24, 6), "{status}: {:?}", ledger.outcomes());
        assert_eq!(ledger.states(), ["done"]);
        assert!(run(&options, &ledger, words()).await.expect("crawled").is_idle());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn troubles_within_an_answer_are_waited_for() {
    for code in ["maxlag", "ratelimited", "cirrussearch-too-busy-error", "internal_api_error_DBQueryError"] {
        let address = Address::default();
        let (known, met) = (address.clone(), Mutex::new(std::collections::BTreeSet::new()));
        let server = Server::start(move |path, _| match path.split('?').next().unwrap_or_default() {
            // The first request of each query and page.
            "/w/api.php" if met.lock().expect("no test panicked before").insert(path.to_string()) => {
                Answer::new("200 OK", &["Retry-After: 0"], json!({"error": {"code": code}}).to_string().as_bytes())
            }
            "/w/api.php" => commons(&known, path),
            path => path.trim_matches(|c: char| !c.is_ascii_digit()).parse().map_or(Answer::missing(), |n| Answer::image(&png(n))),
        })
        .await;
        address.set(server.url("")).expect("set once");
        let dir = tempfile::tempdir().expect("a folder");
        let ledger = Arc::new(Twin::default());
        let mut options = options(dir.path(), &[format!("commons:{}", server.url("/w/api.php"))]);
        options.backoff = Duration::from_secs(60);
        let summary = run(&options, &ledger, words(100)).await.expect("crawled");
        assert_eq!((summary.pairs, ledger.states()), (24, vec!["done".to_string()]), "{code}: {:?}", ledger.outcomes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_refuses_is_decided_and_can_be_tried_again() {
    let ill = Arc::new(Mutex::new(Some(("horse", "403 Forbidden", ""))));
    let (server, _) = serve_ill(ill.clone()).await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    let options = options(dir.path(), &[format!("openverse:{}", server.url("/v1/images/"))]);
    assert_eq!(run(&options, &ledger, words(100)).await.expect("crawled").pairs, 12);
    assert_eq!((ledger.outcomes()["page:http_4xx"], ledger.states()), (1, vec!["done".to_string()]));
    *ill.lock().expect("no test panicked before") = None;
    assert!(run(&options, &ledger, words(100)).await.expect("crawled").is_idle());
    let again = crawler::CrawlOptions { sources: Vec::new(), retry: vec!["http_4xx".to_string()], ..options };
    assert_eq!(run(&again, &ledger, words(100)).await.expect("crawled").pairs, 12);
    assert_eq!((ledger.outcomes()["page:http_4xx"], ledger.states()[0].as_str()), (0, "done"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_larger_cap_goes_on_where_searches_were_full() {
    let (server, _) = serve(false).await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    let options = options(dir.path(), &[format!("openverse:{}", server.url("/v1/images/"))]);
    assert_eq!(run(&options, &ledger, words(4)).await.expect("crawled").candidates, 8);
    assert_eq!((ledger.outcomes()["page:full"], ledger.states()), (2, vec!["done".to_string()]));
    assert!(run(&options, &ledger, words(4)).await.expect("crawled").is_idle());
    // As the program asks when the cap was raised; the source need not be named.
    let raised = crawler::CrawlOptions { sources: Vec::new(), retry: vec!["full".to_string()], ..options };
    run(&raised, &ledger, words(100)).await.expect("crawled");
    assert_eq!(check_pool(dir.path()).len(), 24);
    let mut pages = asked(&server);
    pages.sort();
    pages.dedup();
    assert_eq!((pages.len(), asked(&server).len()), (6, 6), "each page of results once");
    assert_eq!(ledger.outcomes()["page:full"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_the_same_command_count_before_a_search_begins() {
    let (server, _) = serve(false).await;
    let dir = tempfile::tempdir().expect("a folder");
    let list = dir.path().join("list.csv");
    let rows: String = (0..10).map(|i| format!("{},cat {i}\n", server.url(&format!("/{i}.png")))).collect();
    std::fs::write(&list, format!("url,caption\n{rows}")).expect("written");
    let sources = [format!("openverse:{}", server.url("/v1/images/")), format!("urls:{}", list.display())];
    let mut options = options(&dir.path().join("corpus"), &sources);
    options.sizes.pages = 1;
    options.jobs = 1;
    run(&options, &Arc::default(), words(100)).await.expect("crawled");
    let queries: Vec<String> = asked(&server).iter().map(|path| parameter(path, "q")).collect();
    assert_eq!(queries, ["horse", "horse", "horse", "cat", "cat", "cat"]);
}
