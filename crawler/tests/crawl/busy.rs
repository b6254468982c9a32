//! Hosts in trouble: redirects and retries of many addresses, answers that ask for rest, bodies that break off, connections that close.

use crate::corpus::{details, options, outcomes, run};
use crate::server::{Answer, Server, png};
use crate::twin::Twin;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn list(folder: &Path, base: &str, names: impl Iterator<Item = String>) -> String {
    let rows: String = names.map(|name| format!("{base}/{name},picture {name}\n")).collect();
    let path = folder.join("list.csv");
    std::fs::write(&path, format!("url,caption\n{rows}")).expect("written");
    format!("urls:{}", path.display())
}

fn own_files(path: &str) -> Option<Answer> {
    (path.ends_with(".txt") || path.ends_with(".json")).then(Answer::missing)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_begun_goes_before_what_has_not() {
    let server = Server::start(|path, _| match path.strip_prefix("/to/") {
        Some(number) => Answer::image(&png(number.parse().unwrap_or(0))),
        None => own_files(path).unwrap_or_else(|| Answer::redirect(&format!("/to{path}"))),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    let mut options = options(&corpus, &[list(dir.path(), &server.url(""), (1..=60).map(|n| n.to_string()))]);
    // A job lasts for no more than a third of the first addresses.
    options.host_rate = 20.0;
    options.sizes.time = Duration::from_secs(1);
    let summary = run(&options, &ledger, None).await.expect("crawled");
    assert_eq!(summary.pairs, 60, "{summary:?}");
    let asked = server.requests();
    assert!(asked.iter().all(|(path, times)| *times == 1 || !path.starts_with("/to/")), "{asked:?}");
    assert_eq!(
        asked.iter().filter(|(path, _)| !path.starts_with("/to/") && own_files(path).is_none()).map(|(_, times)| times).sum::<u64>(),
        60
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_busy_is_not_asked_at_full_speed() {
    let server = Server::start(|path, _| own_files(path).unwrap_or_else(|| Answer::new("429 Too Many Requests", &[], b""))).await;
    let dir = tempfile::tempdir().expect("a folder");
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    let mut options = options(&corpus, &[list(dir.path(), &server.url(""), (1..=200).map(|n| n.to_string()))]);
    options.backoff = Duration::from_millis(20);
    options.host_connections = 4;
    run(&options, &ledger, None).await.expect("crawled");
    let found = outcomes(&corpus);
    assert!(found.len() == 200 && found.values().all(|outcome| outcome == "http_429"));
    // Eight waits, with four requests in flight at each.
    let asked: u64 = server.requests().iter().filter(|(path, _)| own_files(path).is_none()).map(|(_, times)| times).sum();
    assert!(asked <= 40, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_break_off_are_answers_all_the_same() {
    let server = Server::start(|path, _| {
        let whole = || Answer::image(&png(3));
        match path.strip_prefix("/cut") {
            Some(_) => Answer(whole().0[..whole().0.len() - 9].to_vec()),
            None => own_files(path).unwrap_or_else(whole),
        }
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    let names = (1..=60).map(|n| format!("cut{n}")).chain((1..=10).map(|n| n.to_string()));
    let mut options = options(&corpus, &[list(dir.path(), &server.url(""), names)]);
    options.retries = 1;
    let summary = run(&options, &ledger, None).await.expect("crawled");
    assert_eq!(summary.pairs, 10, "{summary:?}");
    assert!(details(&corpus).values().all(|detail| !detail.contains("in a row")), "{:?}", details(&corpus));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_closed_without_a_word_is_no_attempt() {
    let server = Server::start(|path, before| match own_files(path) {
        Some(answer) => answer,
        None if before == 0 => Answer(Vec::new()),
        None => Answer::image(&png(5)),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    let mut options = options(&corpus, &[list(dir.path(), &server.url(""), (1..=30).map(|n| n.to_string()))]);
    // A job lasts for less than all first requests, and what was asked for in it is not asked for anew by the next.
    (options.retries, options.host_rate, options.sizes.time) = (0, 20.0, Duration::from_millis(500));
    let summary = run(&options, &ledger, None).await.expect("crawled");
    assert_eq!(summary.pairs, 30, "{summary:?}");
    assert!(server.requests().iter().all(|(path, times)| own_files(path).is_some() || *times == 2), "{:?}", server.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_read_as_browsers_read_them() {
    let server = Server::start(|path, _| {
        let odd = match path {
            "/folded" => "X-A: b\r\n c",
            "/blank" => "X-A : b",
            "/sign" => "X\u{e9}A: b",
            _ => return own_files(path).unwrap_or_else(Answer::missing),
        };
        Answer::new("200 OK", &["Content-Type: image/png", odd], &png(7))
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    let names = ["folded", "blank", "sign"].map(str::to_string);
    let options = options(&corpus, &[list(dir.path(), &server.url(""), names.into_iter())]);
    let summary = run(&options, &ledger, None).await.expect("crawled");
    assert_eq!(summary.pairs, 3, "{summary:?} {:?}", details(&corpus));
}
