//! A crawl killed at fifty moments comes to what an undisturbed one comes to.

use crate::line::serve;
use crate::run::Scratch;
use shards::{Candidate, PairId, PoolRow, Row, TableReader};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Kills with signal 9, each followed by the same command again.
const KILLS: u32 = 50;
/// After so long no more kills: a busy machine must not make the test endless.
const ENOUGH: Duration = Duration::from_secs(240);

fn rows<R: Row>(folder: &Path) -> Vec<R> {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let tables = files.filter(|file| file.extension().is_some_and(|suffix| suffix == "parquet"));
    tables.flat_map(|file| TableReader::read_all(&file).expect("whole")).collect()
}

/// Outcomes and pool of a corpus by pair; nothing may be there twice.
fn decided(corpus: &Path) -> (BTreeMap<PairId, String>, BTreeMap<PairId, shards::ImageId>) {
    let candidates: Vec<Candidate> = rows(&corpus.join("candidates"));
    let outcomes: BTreeMap<_, _> = candidates.iter().map(|row| (row.pair_id, row.outcome.clone())).collect();
    assert_eq!(outcomes.len(), candidates.len(), "a pair was decided twice");
    let pool: Vec<PoolRow> = rows(&corpus.join("pool"));
    let images: BTreeMap<_, _> = pool.iter().map(|row| (row.pair_id, row.image_id)).collect();
    assert_eq!(images.len(), pool.len(), "a pair is twice in the pool");
    (outcomes, images)
}

#[test]
fn killed_at_fifty_moments_a_crawl_comes_to_the_same_pairs() {
    let scratch = Scratch::new();
    let served = serve();
    let pictures = served.web.plan().planted.iter().filter(|row| row.class.is_some() && row.image_path.starts_with('/'));
    let mut list = "url,caption\n".to_string();
    for (n, planted) in pictures.enumerate().take(400) {
        list += &format!("{}{},\"{} {}\"\n", served.base, planted.image_path, planted.caption.replace('"', ""), n % 7);
        list += &format!("{}/missing-{n}.jpg,\"{}\"\n", served.base, if n % 2 == 0 { "a red circle" } else { "nothing that is asked for" });
    }
    scratch.write("pairs.csv", &list);
    scratch.write("words.txt", "circle\nsquare\nred\nblue\ngreen\nstar\n");
    served.web.dump(&scratch.path("dump.xml.bz2")).expect("written");
    scratch.ok(&["wordlist", "--dump", "dump.xml.bz2", "--add", "words.txt"]);
    let crawl = |corpus: &'static str| {
        let start = ["crawl", "--source", "urls:pairs.csv", "--corpus", corpus, "--queries", "queries.parquet", "--allow-private"];
        [&start[..], &["--host-rate", "0", "--per-query", "20", "--number-sample-per-shard", "40"]].concat()
    };
    let begun = Instant::now();
    scratch.ok(&crawl("calm"));
    let whole = begun.elapsed();
    let begun = Instant::now();
    let mut killed = 0;
    for kill in 0..KILLS {
        if begun.elapsed() > ENOUGH {
            break;
        }
        let mut child = scratch.start(&crawl("killed"));
        // Spread by the golden ratio, more of them early, where a run does its work.
        let share = (f64::from(kill) * 0.618_033_988_749_895).fract();
        std::thread::sleep(whole.mul_f64(0.9 * share * share + 0.02));
        let _ = child.kill();
        child.wait().expect("ended");
        killed += 1;
    }
    scratch.ok(&crawl("killed"));
    assert!(killed >= 10, "only {killed} kills in {ENOUGH:?}");
    let (calm, disturbed) = (decided(&scratch.path("calm")), decided(&scratch.path("killed")));
    assert_eq!(calm, disturbed);
    assert!(calm.0.values().any(|outcome| outcome == "full") && calm.0.values().any(|outcome| outcome == "http_4xx"), "{:?}", calm.0.len());
    scratch.ok(&["verify", "killed"]);
}
