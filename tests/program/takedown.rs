//! `remove`: what is named is gone from every file, everything else is as whole as before, and the runs that saw it are named.

use crate::run::Scratch;
use crate::whole::made;
use shards::{Meta, PairId, PoolRow, Sample, TableReader, hash_file};
use std::time::Duration;

fn pool(scratch: &Scratch) -> Vec<PoolRow> {
    TableReader::<PoolRow>::read_all(&scratch.path("corpus/pool/00001.parquet")).expect("read")
}

/// A run that was trained on this manifest.
fn run_of(scratch: &Scratch, name: &str, manifest: &str) {
    std::fs::create_dir_all(scratch.path(&format!("runs/{name}/checkpoints"))).expect("made");
    let meta = Meta::new("run").with("model", "small").with_parent("manifest", &scratch.path(manifest)).expect("hashed");
    meta.write(&scratch.path(&format!("runs/{name}"))).expect("written");
}

/// The files below the scratch folder that hold `needle`. The catalogue's counts and pages may know of hosts.
fn holding(scratch: &Scratch, needle: &str) -> Vec<String> {
    let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    scratch.files(".").into_iter().filter(|(name, bytes)| !name.starts_with("pictures") && holds(bytes)).map(|(name, _)| name).collect()
}

#[test]
fn what_is_named_is_gone_everywhere() {
    let scratch = made();
    let rows = pool(&scratch);
    run_of(&scratch, "old", "corpus-shards/manifest.parquet");
    run_of(&scratch, "other", "set/manifest.parquet");
    std::fs::write(scratch.path("corpus/report.html"), "<html>").expect("written");
    scratch.ok(&["verify"]);
    // Archives hold texts plainly; in tables they are packed, so rows are compared there.
    assert!(!holding(&scratch, &rows[4].caption).is_empty());
    let pair = rows[4].pair_id.to_string();
    let args = ["remove", "--url", "HTTP://a.example:80/./2.jpg#x", "--pair", &pair, "--hash", &rows[5].image_id.to_string()];
    let said = scratch.ok(&args);
    assert!(said.err.contains("3 pairs of the pool, 3 candidates; 1 reports removed"), "{said}");
    assert_eq!(said.out, "trained on it: runs/old\n", "{said}");

    for at in [2, 4, 5] {
        assert_eq!(holding(&scratch, &rows[at].caption), Vec::<String>::new());
        assert_eq!(holding(&scratch, &rows[at].url), Vec::<String>::new());
    }
    let left: Vec<PoolRow> = pool(&scratch);
    assert_eq!(left, [&rows[0], &rows[1], &rows[3]].map(Clone::clone));
    for manifest in ["corpus/selection/default", "corpus-shards"] {
        let samples = TableReader::<Sample>::open_all(&scratch.path(&format!("{manifest}/manifest.parquet"))).expect("opened");
        let mut pairs: Vec<PairId> = samples.flat_map(|batch| batch.expect("read")).flat_map(|row| row.pair_ids).collect();
        let mut expected = [rows[0].pair_id, rows[1].pair_id, rows[3].pair_id];
        pairs.sort();
        expected.sort();
        assert_eq!(pairs, expected, "{manifest}");
    }
    let outcomes = scratch.ok(&["sql", "--format", "json", "-c", "select outcome, caption from candidates where outcome = 'removed'"]);
    assert_eq!(outcomes.out, "{\"outcome\":\"removed\",\"caption\":\"\"}\n".repeat(3), "{outcomes}");
    let status = scratch.ok(&["status"]);
    assert!(status.out.contains("pool       3 pairs of") && status.out.contains("removed 3"), "{status}");
    let said = scratch.ok(&["verify", "corpus", "corpus-shards", "set"]);
    assert!(said.err.contains("no damage"), "{said}");
    assert!(!said.out.contains("none of those checked"), "the lineage holds: {said}");

    // Asked again, and asked for nothing new: the same files, and the same runs.
    let before = scratch.files(".");
    assert_eq!(scratch.ok(&args).out, "trained on it: runs/old\n");
    assert_eq!(scratch.ok(&["remove"]).out, "trained on it: runs/old\n");
    let known = |name: &String| !name.contains("catalog") && !name.ends_with(".lock");
    let after = scratch.files(".");
    assert!(before.iter().filter(|(name, _)| known(name)).all(|(name, bytes)| after.get(name) == Some(bytes)));
    assert_eq!(scratch.ok(&["remove", "--host", "nowhere.example"]).out, "", "another request lists its own runs");
    scratch.ok(&["curate"]);
    assert_eq!(TableReader::<Sample>::read_all(&scratch.path("corpus/selection/default/manifest.parquet")).expect("read").len(), 3);
}

#[test]
fn readers_obey_before_anything_is_rewritten() {
    let scratch = made();
    let mut removed = shards::Removed::default();
    let row = |by: &str, value: &str| shards::Removal { by: by.into(), value: value.into(), because: format!("{by} {value}"), time_ms: 1 };
    removed.extend(&[row("pair", &pool(&scratch)[1].pair_id.to_string())]);
    for folder in ["corpus", "corpus-shards"] {
        removed.write(&scratch.path(folder)).expect("written");
    }
    let said = scratch.ok(&["curate"]);
    assert!(said.err.contains("kept 5 of 5 pairs"), "{said}");
    let said = scratch.ok(&["shard", "--manifest", "corpus-shards/manifest.parquet", "--out", "again"]);
    assert!(said.err.contains("wrote 5 samples"), "{said}");
}

#[test]
fn killed_at_any_moment_the_same_command_goes_on() {
    let calm = made();
    let hash = hash_file(&calm.path("corpus-shards/manifest.parquet")).expect("hashed");
    let args = ["remove", "--host", "a.example"];
    let begun = std::time::Instant::now();
    calm.ok(&args);
    let whole = begun.elapsed();
    let known = |files: std::collections::BTreeMap<String, Vec<u8>>| -> Vec<(String, Vec<u8>)> {
        let plain = |name: &String| !["removed.parquet", "catalog", ".lock"].iter().any(|part| name.contains(part));
        files.into_iter().filter(|(name, _)| plain(name)).collect()
    };
    let expected = known(calm.files("."));
    let scratch = made();
    assert_eq!(hash_file(&scratch.path("corpus-shards/manifest.parquet")).expect("hashed"), hash, "the same data to begin with");
    for kill in 1..=12 {
        let mut child = scratch.start(&args);
        std::thread::sleep(Duration::from_micros(whole.as_micros() as u64 * kill / 12));
        let _ = child.kill();
        child.wait().expect("ended");
    }
    scratch.ok(&args);
    let found = known(scratch.files("."));
    assert_eq!(found.iter().map(|(name, _)| name).collect::<Vec<_>>(), expected.iter().map(|(name, _)| name).collect::<Vec<_>>());
    for ((name, found), (_, expected)) in found.iter().zip(&expected) {
        assert!(found == expected, "{name} differs");
    }
    let said = scratch.ok(&["verify", "corpus", "corpus-shards"]);
    assert!(said.err.contains("no damage"), "{said}");
}

#[test]
fn wrong_requests_are_refused_before_anything_is_touched() {
    let scratch = made();
    let before = scratch.files(".");
    scratch.fails(&["remove"], 2, "--url, --host, --hash or --pair");
    scratch.fails(&["remove", "--url", "a.example/2.jpg"], 2, "--url a.example/2.jpg");
    scratch.fails(&["remove", "--host", "http://a.example/"], 2, "--host http://a.example/");
    scratch.fails(&["remove", "--hash", "12"], 2, "--hash 12");
    scratch.fails(&["remove", "--pair", "x"], 2, "--pair");
    scratch.fails(&["remove", "--host", "a.example", "--shards", "nowhere"], 2, "nowhere has no manifest.parquet");
    scratch.fails(&["remove", "--host", "a.example", "--corpus", "nowhere", "--shards", "runs"], 2, "runs has no manifest.parquet");
    assert!(before == scratch.files("."));
    let lock = std::fs::File::create(scratch.path("corpus/crawl.lock")).expect("made");
    lock.lock().expect("locked");
    scratch.fails(&["remove", "--host", "a.example"], 1, "a crawl is at work in corpus");
    assert!(scratch.path("corpus/removed.parquet").exists(), "it is obeyed all the same");
    drop(lock);
    scratch.ok(&["remove"]);
    assert_eq!(pool(&scratch).len(), 0);
    scratch.ok(&["verify", "corpus", "corpus-shards"]);
}
