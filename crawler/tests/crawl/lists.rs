//! Crawls of URL lists.

use crate::corpus::{Words, check_pool, options, outcomes, run};
use crate::server::{Answer, Server, png};
use crate::twin::Twin;
use crawler::{CrawlOptions, Error, Matcher};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn image(path: &str, _: u64) -> Answer {
    match path.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u32>() {
        Ok(n) if n % 10 == 9 => Answer::missing(),
        Ok(n) => Answer::image(&png(n)),
        Err(_) => Answer::missing(),
    }
}

/// A list of `rows` rows over 60 images, written to `folder`.
fn list(folder: &Path, server: &Server, rows: u32) -> String {
    let mut text = "caption,url\n,http://127.0.0.1/x\nwords,nothing\n".to_string();
    for i in 0..rows {
        let word = ["cat", "dog", "stone"][i as usize % 3];
        text.push_str(&format!("{word} {},{}\n", i % 90, server.url(&format!("/{}.png", i % 60))));
    }
    let path = folder.join("list.csv");
    std::fs::write(&path, text).expect("written");
    format!("urls:{}", path.display())
}

fn small_jobs(corpus: &Path, source: &str) -> CrawlOptions {
    let mut options = options(corpus, &[source.to_string()]);
    options.sizes.candidates = 20;
    options
}

fn matcher() -> Option<Arc<dyn Matcher>> {
    Some(Arc::new(Words { words: vec!["cat", "dog"], cap: 15 }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_planned_is_fetched_when_the_list_is_gone() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    let source = list(dir.path(), &server, 120);
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    let mut options = small_jobs(&corpus, &source);
    (options.host_rate, options.sizes.time) = (40.0, Duration::from_millis(300));
    let stop = options.stop.clone();
    let decided = corpus.join("candidates");
    tokio::spawn(async move {
        // All is planned once something is decided.
        while std::fs::read_dir(&decided).map_or(0, Iterator::count) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
    });
    let first = run(&options, &ledger, None).await.expect("stopped");
    assert!(first.candidates < 120, "{first:?}");
    std::fs::rename(dir.path().join("list.csv"), dir.path().join("moved.csv")).expect("moved");
    (options.host_rate, options.stop) = (0.0, Default::default());
    run(&options, &ledger, None).await.expect("gone on without the list");
    assert_eq!(outcomes(&corpus).len(), 120);
    // A list that nobody read before is missing.
    options.sources = vec!["urls:none.csv".parse().expect("a source")];
    assert!(matches!(run(&options, &ledger, None).await, Err(Error::List { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_inside_set_is_fetched() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    let source = list(dir.path(), &server, 400);
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    let summary = run(&small_jobs(&corpus, &source), &ledger, matcher()).await.expect("crawled");
    // 400 rows repeat every 180: (i % 3, i % 90, i % 60) has 180 values.
    assert_eq!(summary.candidates, 180);
    assert_eq!(ledger.counts(), BTreeMap::from([(0, 60), (1, 60)]));
    let outcomes = ledger.outcomes();
    assert_eq!(
        (outcomes["unmatched"], outcomes["row:duplicate_url"], outcomes["row:no-caption"], outcomes["row:bad-url"]),
        (60, 220, 1, 1)
    );
    // Decided by the final counts, whatever the order: the matcher's own rule over all candidates.
    let rule = Words { words: vec!["cat", "dog"], cap: 15 };
    for row in crate::corpus::candidates(&corpus).values().filter(|row| row.outcome != "unmatched") {
        assert_eq!(row.outcome == "full", !rule.inside(&row.pair_id, &row.query_ids, &|_| 60), "{row:?}");
    }
    assert_eq!(summary.saved, outcomes["full"]);
    assert!(outcomes["full"] > 60 && outcomes["ok"] > 10, "{outcomes:?}");
    assert_eq!(check_pool(&corpus).len() as u64, outcomes["ok"]);
    assert_eq!(ledger.states(), ["done"]);

    let before = server.requests();
    let again = run(&small_jobs(&corpus, &source), &ledger, matcher()).await.expect("crawled");
    assert!(again.is_idle());
    assert_eq!(server.requests(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_cut_off_anywhere_ends_as_if_undisturbed() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    let source = list(dir.path(), &server, 400);
    let calm = dir.path().join("calm");
    run(&small_jobs(&calm, &source), &Arc::default(), matcher()).await.expect("crawled");
    let corpus = dir.path().join("cut");
    let ledger = Arc::new(Twin::default());
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
    assert_eq!(ledger.counts(), BTreeMap::from([(0, 60), (1, 60)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_list_and_a_larger_limit_add_only_what_is_new() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    let source = list(dir.path(), &server, 100);
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    let mut options = small_jobs(&corpus, &source);
    options.limit = Some(52);
    let first = run(&options, &ledger, None).await.expect("crawled");
    assert_eq!((first.candidates, first.pairs), (50, 45));
    options.limit = None;
    let second = run(&options, &ledger, None).await.expect("crawled");
    assert_eq!((second.candidates, second.pairs), (50, 45));
    assert_eq!(check_pool(&corpus).len(), 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_a_killed_crawl_are_swept() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    let source = list(dir.path(), &server, 30);
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    run(&small_jobs(&corpus, &source), &ledger, None).await.expect("crawled");
    let segment = corpus.join("candidates/00002.parquet");
    assert!(segment.exists(), "the first fetch job follows two plan jobs");
    // The number of a job that gave no segment: the catalogue knows it, and says that nothing of it counts.
    for name in ["candidates/00001.parquet", "pool/00001.parquet"] {
        std::fs::copy(&segment, corpus.join(name)).expect("copied");
    }
    std::fs::write(corpus.join("pool/00001.tar"), b"half").expect("written");
    std::fs::write(corpus.join("pool/00778.tar.diptych-part"), b"half").expect("written");
    assert!(run(&small_jobs(&corpus, &source), &ledger, None).await.expect("crawled").is_idle());
    for name in ["candidates/00001.parquet", "pool/00001.parquet", "pool/00001.tar", "pool/00778.tar.diptych-part"] {
        assert!(!corpus.join(name).exists(), "{name}");
    }
    assert_eq!(check_pool(&corpus).len(), 27);
    // Files of a job that the catalogue never had may be all that is left of it.
    std::fs::copy(&segment, corpus.join("candidates/00777.parquet")).expect("copied");
    let refused = run(&small_jobs(&corpus, &source), &ledger, None).await.expect_err("refused").to_string();
    assert!(refused.contains("00777.parquet"), "{refused}");
    std::fs::remove_file(corpus.join("candidates/00777.parquet")).expect("still there");
    assert_eq!(check_pool(&corpus).len(), 27);
}

#[tokio::test(flavor = "multi_thread")]
async fn public_rows_need_a_contact_before_anything_is_counted() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("list.jsonl");
    std::fs::write(&path, "{\"url\":\"http://images.example.org/1.jpg\",\"caption\":\"a cat\"}\n").expect("written");
    let ledger = Arc::new(Twin::default());
    let options = options(&dir.path().join("corpus"), &[format!("urls:{}", path.display())]);
    let error = run(&options, &ledger, None).await.expect_err("refused");
    assert!(error.to_string().contains("--contact") && error.to_string().contains("images.example.org"), "{error}");
    assert!(ledger.outcomes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_crawls_at_once_are_refused() {
    let server = Server::start(|path, _| if path == "/robots.txt" { Answer::missing() } else { Answer(Vec::new()) }).await;
    let dir = tempfile::tempdir().expect("a folder");
    let source = list(dir.path(), &server, 3);
    let corpus = dir.path().join("corpus");
    std::fs::create_dir_all(&corpus).expect("made");
    let held = std::fs::File::create(corpus.join("crawl.lock")).expect("created");
    held.try_lock().expect("locked");
    let error = run(&small_jobs(&corpus, &source), &Arc::default(), None).await.expect_err("refused");
    assert!(matches!(error, Error::InUse { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corpus_that_cannot_be_written_is_named() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    let source = list(dir.path(), &server, 30);
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    std::fs::create_dir_all(&corpus).expect("made");
    // A file where a folder must be: the segment cannot be begun.
    std::fs::write(corpus.join("pool"), b"").expect("written");
    let error = run(&small_jobs(&corpus, &source), &ledger, None).await.expect_err("refused");
    assert!(error.to_string().contains("pool"), "{error}");
    assert!(!ledger.outcomes().contains_key("ok"));
    std::fs::remove_file(corpus.join("pool")).expect("removed");
    run(&small_jobs(&corpus, &source), &ledger, None).await.expect("crawled");
    assert_eq!(check_pool(&corpus).len(), 27);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_down_is_neither_fetched_nor_kept() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    let text: String = (0..6).map(|i| format!("cat number {i},{}\n", server.url(&format!("/{i}.png")))).collect();
    std::fs::write(dir.path().join("list.csv"), format!("caption,url\n{text}")).expect("written");
    let source = format!("urls:{}", dir.path().join("list.csv").display());
    let corpus = dir.path().join("corpus");
    std::fs::create_dir(&corpus).expect("made");
    let mut removed = shards::Removed::default();
    let removal = |by: &str, value: String| shards::Removal { by: by.into(), because: format!("{by} {value}"), value, time_ms: 1 };
    let url = shards::canonical_text(&server.url("/2.png")).expect("an address");
    removed.extend(&[removal("url", shards::url_name(&url)), removal("image", shards::ImageId::of(&png(4)).to_string())]);
    removed.write(&corpus).expect("written");
    run(&options(&corpus, &[source]), &Arc::new(Twin::default()), None).await.expect("crawled");
    let rows = crate::corpus::candidates(&corpus);
    let outcome = |wanted: &str| rows.values().filter(|row| row.outcome == wanted).count();
    assert_eq!((rows.len(), outcome("removed"), outcome(shards::outcome::OK)), (6, 2, 4));
    assert!(rows.values().filter(|row| row.outcome == "removed").all(|row| row.caption.is_empty() && row.image_url.is_empty()));
    // The address was not even asked; the picture was, but its bytes were not kept.
    let tables = std::fs::read_dir(corpus.join("pool")).expect("a pool").map(|entry| entry.expect("an entry").path());
    let tables = tables.filter(|path| path.extension().is_some_and(|end| end == "parquet"));
    let pool = tables.flat_map(|path| shards::TableReader::<shards::PoolRow>::open_all(&path).expect("opened"));
    let kept: Vec<String> = pool.flat_map(|batch| batch.expect("read")).map(|row| row.caption).collect();
    assert!(kept.len() == 4 && !kept.contains(&"cat number 2".to_string()) && !kept.contains(&"cat number 4".to_string()), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_changed_since_the_list_was_made_are_refused() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    let hash = |n: u32| Sha256::digest(png(n)).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut text = "url,caption,sha256\n".to_string();
    for (n, hash) in [(1, hash(1)), (2, hash(1)), (3, String::new()), (4, hash(4).to_uppercase())] {
        text.push_str(&format!("{},picture {n},{hash}\n", server.url(&format!("/{n}.png"))));
    }
    // The same picture under two captions, only one of which promises what comes.
    text.push_str(&format!("{0},one,{1}\n{0},other,{2}\n", server.url("/5.png"), hash(5), hash(6)));
    let path = dir.path().join("list.csv");
    std::fs::write(&path, text).expect("written");
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    let mut options = options(&corpus, &[format!("urls:{}", path.display())]);
    options.verify_hash = Some("sha256".to_string());
    let summary = run(&options, &ledger, None).await.expect("crawled");
    assert_eq!((summary.candidates, summary.pairs), (6, 3));
    let decided = crate::corpus::candidates(&corpus);
    let mut kept: Vec<&str> = check_pool(&corpus).iter().map(|id| decided[id].caption.as_str()).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["one", "picture 1", "picture 4"]);
    assert_eq!(ledger.outcomes()["changed"], 3);

    options.verify_hash = Some("md5".to_string());
    options.sources = vec![format!("urls:{}?url=url", path.display()).parse().expect("a source")];
    let error = run(&options, &ledger, None).await.expect_err("refused").to_string();
    assert!(error.contains("no column \"md5\""), "{error}");
}

/// Rows for pictures of these numbers.
fn rows(server: &Server, numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| format!("{},picture {n}\n", server.url(&format!("/{n}.png")))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_read_costs_itself_in_a_folder() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("lists");
    std::fs::create_dir(&folder).expect("made");
    let write = |name: &str, text: &[u8]| std::fs::write(folder.join(name), text).expect("written");
    let good = format!("url,caption\n{}", rows(&server, 0..5));
    write("good.csv", good.as_bytes());
    write("empty.csv", b"");
    write(".hidden.csv", format!("url,caption\n{}", rows(&server, 5..8)).as_bytes());
    write("00000_stats.json", b"{\n    \"count\": 3\n}\n");
    let packed = zstd::encode_all(good.as_bytes(), 1).expect("packed");
    write("broken.csv.zst", &packed[..packed.len() / 2]);
    let source = format!("urls:{}", folder.display());
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    let summary = run(&small_jobs(&corpus, &source), &ledger, None).await.expect("crawled");
    assert_eq!((summary.candidates, summary.pairs, summary.outcomes["list:unreadable"]), (5, 5, 2));
    assert!(summary.unusable.is_empty() && !summary.is_in_vain);
    let recorded = |ledger: &Twin| -> Vec<String> {
        ledger.locations().iter().map(|location| location.rsplit('/').next().unwrap_or_default().to_string()).collect()
    };
    assert_eq!(recorded(&ledger), ["empty.csv", "good.csv"]);
    // The rest is as done as it can be; those that cannot be read are said again.
    let again = run(&small_jobs(&corpus, &source), &ledger, None).await.expect("crawled");
    assert_eq!((again.is_idle(), again.outcomes["list:unreadable"], again.is_in_vain), (true, 2, false));
    // Named themselves they are errors, and nothing is recorded of them.
    for (name, why) in [("broken.csv.zst", "broken.csv.zst"), ("00000_stats.json", "one JSON object a line"), ("empty.csv", "it is empty")]
    {
        let (corpus, ledger) = (dir.path().join(name), Arc::new(Twin::default()));
        let error = run(&small_jobs(&corpus, &format!("{source}/{name}")), &ledger, None).await.expect_err("refused").to_string();
        assert!(error.contains(why) && recorded(&ledger).is_empty(), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_changed_is_read_again() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("list.csv");
    let write = |numbers: std::ops::Range<u32>| std::fs::write(&path, format!("url,caption\n{}", rows(&server, numbers))).expect("written");
    write(0..30);
    let (corpus, ledger) = (dir.path().join("corpus"), Arc::new(Twin::default()));
    let source = format!("urls:{}", path.display());
    let options = small_jobs(&corpus, &source);
    assert_eq!(run(&options, &ledger, None).await.expect("crawled").candidates, 30);
    write(0..40);
    assert_eq!(run(&options, &ledger, None).await.expect("crawled").candidates, 10);
    assert_eq!(ledger.outcomes()["row:duplicate_url"], 30);
    assert!(run(&options, &ledger, None).await.expect("crawled").is_idle());
    // Jobs that were recorded and not done when it changed are not missed, nor do they stand in the way.
    write(0..70);
    let mut stopped = options.clone();
    stopped.stop = tokio_util::sync::CancellationToken::new();
    stopped.stop.cancel();
    assert_eq!(run(&stopped, &ledger, None).await.expect("stopped").jobs, 0);
    write(0..100);
    assert_eq!(run(&options, &ledger, None).await.expect("crawled").candidates, 60);
    assert_eq!((check_pool(&corpus).len(), ledger.states()), (90, vec!["done".to_string()]));
    assert!(run(&options, &ledger, None).await.expect("crawled").is_idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_a_usable_row_is_named() {
    let server = Server::start(image).await;
    let dir = tempfile::tempdir().expect("a folder");
    let (bad, good) = (dir.path().join("bad.csv"), dir.path().join("good.csv"));
    std::fs::write(&bad, format!("url,caption,text\n{},,words\nnothing,c,\n", server.url("/1.png"))).expect("written");
    std::fs::write(&good, format!("url,caption\n{}", rows(&server, 2..3))).expect("written");
    let sources = [&bad, &good].map(|path| format!("urls:{}", path.display()));
    let summary = run(&options(&dir.path().join("a"), &sources[..1]), &Arc::default(), None).await.expect("crawled");
    assert!(summary.is_in_vain && summary.unusable.len() == 1, "{summary:?}");
    let said = &summary.unusable[0];
    assert!(said.contains("bad.csv: none of 2 rows") && said.contains("row:no-caption 1") && said.contains("row:bad-url 1"), "{said}");
    let summary = run(&options(&dir.path().join("b"), &sources), &Arc::default(), None).await.expect("crawled");
    assert!(!summary.is_in_vain && summary.unusable.len() == 1 && summary.pairs == 1, "{summary:?}");
}
