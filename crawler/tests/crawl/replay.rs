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
