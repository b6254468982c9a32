//! Deciding anew: failures that heal, and a larger cap.

use crate::corpus::{Words, candidates, check_pool, options, outcomes, run};
use crate::server::{Answer, Server, png};
use crate::twin::Twin;
use crawler::{CrawlOptions, Matcher};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn number(path: &str) -> u32 {
    path.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
}

/// A list of 120 pictures; `cat`, `dog` or `stone` by turns.
fn list(folder: &Path, server: &Server) -> String {
    let mut text = "url,caption\n".to_string();
    for i in 0..120 {
        text += &format!("{},{} {i}\n", server.url(&format!("/{i}.png")), ["cat", "dog", "stone"][i % 3]);
    }
    let path = folder.join("list.csv");
    std::fs::write(&path, text).expect("written");
    format!("urls:{}", path.display())
}

fn small_jobs(corpus: &Path, sources: &[String]) -> CrawlOptions {
    let mut options = options(corpus, sources);
    options.sizes.candidates = 20;
    options.retries = 0;
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_tried_again_and_nothing_else() {
    let well = Arc::new(AtomicBool::new(false));
    let seen = well.clone();
    let server = Server::start(move |path, _| match path {
        _ if !path.ends_with(".png") => Answer::missing(),
        _ if number(path) % 10 == 9 && !seen.load(Ordering::Relaxed) => Answer::new("503 Service Unavailable", &[], b""),
        _ if number(path) % 10 == 8 => Answer::missing(),
        _ => Answer::image(&png(number(path))),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    run(&small_jobs(&corpus, &[list(dir.path(), &server)]), &ledger, None).await.expect("crawled");
    let count = |outcome: &str| ledger.outcomes().get(outcome).copied().unwrap_or(0);
    assert_eq!((count("ok"), count("http_5xx"), count("http_4xx")), (96, 12, 12));
    let before = server.requests();
    well.store(true, Ordering::Relaxed);
    let mut again = small_jobs(&corpus, &[]);
    again.retry = vec!["timeout".to_string(), "http_5xx".to_string()];
    // Cut off again and again, it comes to the same.
    let mut cuts = 0;
    for wait in (1..).map(|i| Duration::from_millis(3 * i)) {
        match tokio::time::timeout(wait, run(&again, &ledger, None)).await {
            Ok(summary) => {
                summary.expect("crawled");
                break;
            }
            Err(_) => cuts += 1,
        }
    }
    assert!(cuts > 1, "{cuts}");
    assert_eq!((count("ok"), count("http_5xx"), count("http_4xx")), (108, 0, 12));
    assert_eq!(check_pool(&corpus).len(), 108);
    let rows = candidates(&corpus);
    assert_eq!(rows.len(), 120);
    assert!(rows.values().filter(|row| number(&row.image_url) % 10 == 9).all(|row| row.outcome == "ok" && row.attempts > 1));
    for (path, n) in server.requests() {
        let healed = path.ends_with("9.png");
        assert!(healed == (n > before[&path]) || !path.ends_with(".png"), "{path} was asked for {n} times");
    }
    assert!(run(&again, &ledger, None).await.expect("crawled").requests == 0, "nothing is left to try again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_larger_cap_takes_up_what_was_outside() {
    let server = Server::start(|path, _| if path.ends_with(".png") { Answer::image(&png(number(path))) } else { Answer::missing() }).await;
    let dir = tempfile::tempdir().expect("a folder");
    let source = [list(dir.path(), &server)];
    let matcher = |cap| Some(Arc::new(Words { words: vec!["cat", "dog"], cap }) as Arc<dyn Matcher>);
    let (corpus, fresh) = (dir.path().join("corpus"), dir.path().join("fresh"));
    let ledger = Arc::new(Twin::default());
    run(&small_jobs(&corpus, &source), &ledger, matcher(10)).await.expect("crawled");
    let small = check_pool(&corpus);
    let mut raised = small_jobs(&corpus, &[]);
    raised.retry = vec!["full".to_string()];
    run(&raised, &ledger, matcher(25)).await.expect("crawled");
    run(&small_jobs(&fresh, &source), &Arc::default(), matcher(25)).await.expect("crawled");
    assert_eq!(outcomes(&corpus), outcomes(&fresh), "as if the cap had been so large from the start");
    let large = check_pool(&corpus);
    assert_eq!(large, check_pool(&fresh));
    assert!(small.is_subset(&large) && small.len() < large.len());
    assert_eq!(ledger.counts(), BTreeMap::from([(0, 40), (1, 40)]), "nothing is counted twice");
    assert!(server.requests().iter().all(|(path, n)| !path.ends_with(".png") || *n <= 2), "each picture once in each corpus");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_cannot_be_retried_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    for word in ["ok", "unmatched", "http"] {
        let mut options = small_jobs(dir.path(), &[]);
        options.retry = vec![word.to_string()];
        let error = run(&options, &Arc::default(), None).await.expect_err("refused");
        assert!(error.is_usage() && error.to_string().contains("http_5xx"), "{error}");
    }
}

/// A site whose pages each show a picture; those that are ill answer as told until they are well.
async fn site(ill: fn(&str) -> Option<Answer>, well: Arc<AtomicBool>) -> Server {
    Server::start(move |path, _| match path {
        _ if path.ends_with(".png") => Answer::image(&png(number(path))),
        _ if !well.load(Ordering::Relaxed) && ill(path).is_some() => ill(path).expect("some"),
        "/" => Answer::html("<a href='/p1'>1</a><a href='/p2'>2</a><a href='/p3'>3</a><a href='/p4'>4</a>"),
        "/p1" => Answer::html("<img src='/1.png' alt='one'><a href='/p5'>5</a>"),
        "/p2" | "/p3" | "/p5" => Answer::html(&format!("<img src='/{0}.png' alt='picture {0}'>", number(path))),
        _ => Answer::missing(),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_failed_are_asked_for_again() {
    let ill = |path: &str| match path {
        "/p1" => Some(Answer::new("503 Service Unavailable", &[], b"")),
        // Cut off in its head.
        "/p2" => Some(Answer(b"HTTP/1.1 2".to_vec())),
        _ => None,
    };
    for named in [false, true] {
        let well = Arc::new(AtomicBool::new(false));
        let server = site(ill, well.clone()).await;
        let dir = tempfile::tempdir().expect("a folder");
        let ledger = Arc::new(Twin::default());
        let source = [format!("web:{}", server.url("/"))];
        run(&small_jobs(dir.path(), &source), &ledger, None).await.expect("crawled");
        let pages = ledger.pages();
        let outcome = |path: &str| pages[&server.url(path)].clone();
        assert_eq!(["/", "/p1", "/p2", "/p3", "/p4"].map(outcome), ["ok", "http_5xx", "connect", "ok", "http_4xx"]);
        well.store(true, Ordering::Relaxed);
        assert!(run(&small_jobs(dir.path(), &source), &ledger, None).await.expect("crawled").is_idle());
        let before = server.requests();
        let mut again = small_jobs(dir.path(), if named { &source } else { &[] });
        again.retry = vec!["timeout".to_string(), "connect".to_string(), "http_5xx".to_string()];
        // Cut off again and again, it comes to the same.
        for wait in (1..).map(|i| Duration::from_millis(2 * i)) {
            if tokio::time::timeout(wait, run(&again, &ledger, None)).await.is_ok_and(|done| done.is_ok()) {
                break;
            }
        }
        let pages = ledger.pages();
        let outcome = |path: &str| pages[&server.url(path)].clone();
        assert_eq!(["/", "/p1", "/p2", "/p3", "/p4", "/p5"].map(outcome), ["ok", "ok", "ok", "ok", "http_4xx", "ok"]);
        assert_eq!((check_pool(dir.path()).len(), ledger.states()[0].as_str()), (4, "done"));
        let outcomes = ledger.outcomes();
        assert_eq!((outcomes["page:ok"], outcomes["page:http_5xx"], outcomes["page:connect"]), (5, 0, 0));
        for path in ["/", "/p3", "/p4", "/3.png"] {
            assert_eq!(server.requests()[path], before[path], "{path} was no failure");
        }
        assert_eq!(run(&again, &ledger, None).await.expect("crawled").requests, 0, "nothing is left to try again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_host_that_is_left_alone_are_asked_for_again() {
    let ill = |path: &str| path.starts_with("/p").then(|| Answer::new("429 Too Many Requests", &["Retry-After: 3600"], b""));
    let well = Arc::new(AtomicBool::new(false));
    let server = site(ill, well.clone()).await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    run(&small_jobs(dir.path(), &[format!("web:{}", server.url("/"))]), &ledger, None).await.expect("crawled");
    assert_eq!(ledger.outcomes()["page:http_429"], 4);
    well.store(true, Ordering::Relaxed);
    let mut again = small_jobs(dir.path(), &[]);
    again.retry = vec!["http_429".to_string()];
    run(&again, &ledger, None).await.expect("crawled");
    assert_eq!((ledger.outcomes()["page:http_429"], ledger.outcomes()["page:ok"], check_pool(dir.path()).len()), (0, 5, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_the_first_crawl_need_not_be_given_to_take_a_page_again() {
    let well = Arc::new(AtomicBool::new(false));
    let ill = |path: &str| (path == "/p1").then(|| Answer::new("500 Oops", &[], b""));
    let server = site(ill, well.clone()).await;
    let other = server.url("/p1");
    let seed = Server::start(move |_, _| Answer::html(&format!("<a href='{other}'>1</a>"))).await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    let mut first = small_jobs(dir.path(), &[format!("web:{}", seed.url("/"))]);
    let include = vec!["127.0.0.1:*".parse().expect("a pattern")];
    first.rules = Arc::new(crawler::Rules { include, exclude: Vec::new() });
    run(&first, &ledger, None).await.expect("crawled");
    well.store(true, Ordering::Relaxed);
    let mut again = small_jobs(dir.path(), &[]);
    again.retry = vec!["http_5xx".to_string()];
    run(&again, &ledger, None).await.expect("crawled");
    assert_eq!((ledger.pages()[&server.url("/p1")].as_str(), check_pool(dir.path()).len()), ("ok", 1));
    again.contact = None;
    again.sources = vec!["web:http://example.org/".parse().expect("a source")];
    run(&again, &ledger, None).await.expect_err("a public host needs a contact");
}
