//! Files of every version of the formats, as they were written then: `tests/formats/VERSION/` is read, checked and used.
//!
//! A new version gets its folder by `cargo test --release -p diptych --test program -- --ignored write_the_files_of_this_version`; the
//! folders of older ones are never changed.

use crate::run::Scratch;
use crate::whole::made;
use shards::{Candidate, FORMAT_VERSION, Meta, PoolRow, Reason, Removal, Sample, TableReader, TarReader};
use std::path::{Path, PathBuf};

fn kept(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/formats/{version}"))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &to) } else { _ = std::fs::copy(entry.path(), to).expect("copied") }
    }
}

#[test]
#[ignore = "writes into the tree; once for each version"]
fn write_the_files_of_this_version() {
    let to = kept(FORMAT_VERSION);
    assert!(!to.exists(), "{} is there: what was written once stays", to.display());
    let scratch = made();
    std::fs::create_dir_all(scratch.path("runs/first/checkpoints")).expect("made");
    let meta =
        Meta::new("run").with("model", "none").with_parent("manifest", &scratch.path("corpus-shards/manifest.parquet")).expect("hashed");
    meta.write(&scratch.path("runs/first")).expect("written");
    scratch.write("runs/first/metrics.jsonl", "{\"step\":1,\"loss\":2.5}\n");
    scratch.ok(&["remove", "--url", "http://a.example/5.jpg", "--shards", "corpus-shards", "--shards", "set"]);
    for folder in ["corpus", "corpus-shards", "set", "runs"] {
        copy(&scratch.path(folder), &to.join(folder));
    }
    for leftover in ["corpus/catalog.sqlite-wal", "corpus/catalog.sqlite-shm", "corpus/catalog.sqlite.lock", "corpus/crawl.lock"] {
        let _ = std::fs::remove_file(to.join(leftover));
    }
}

#[test]
fn files_of_version_1_are_read() {
    let scratch = Scratch::new();
    for folder in ["corpus", "corpus-shards", "set", "runs"] {
        copy(&kept(1).join(folder), &scratch.path(folder));
    }
    let said = scratch.ok(&["verify", "corpus", "corpus-shards", "set", "runs/first"]);
    assert!(said.err.contains("no damage"), "{said}");
    let pool = TableReader::<PoolRow>::read_all(&scratch.path("corpus/pool/00001.parquet")).expect("read");
    let seen = TableReader::<Candidate>::read_all(&scratch.path("corpus/candidates/00001.parquet")).expect("read");
    assert_eq!((pool.len(), seen.len(), seen.iter().filter(|row| row.outcome == "removed").count()), (5, 6, 1));
    assert_eq!(pool[0].caption, "picture number 0 of some things");
    let reasons = TableReader::<Reason>::read_all(&scratch.path("corpus/selection/default/reasons.parquet")).expect("read");
    assert_eq!(reasons.iter().filter(|row| row.kept).count(), 5);
    assert!(!TableReader::<Removal>::read_all(&scratch.path("corpus/removed.parquet")).expect("read").is_empty());
    for (folder, samples) in [("corpus-shards", 5), ("set", 6)] {
        let rows = TableReader::<Sample>::read_all(&scratch.path(&format!("{folder}/manifest.parquet"))).expect("read");
        let names =
            TarReader::open(&scratch.path(&format!("{folder}/00000.tar"))).expect("opened").map(|member| member.expect("whole").name);
        let pictures = names.filter(|name| name.ends_with(".jpg") || name.ends_with(".png")).count();
        assert!(rows.len() == samples && pictures >= samples, "{folder}: {} rows, {pictures} pictures", rows.len());
    }
    scratch.ok(&["curate"]);
    scratch.ok(&["shard", "--manifest", "set/manifest.parquet", "--out", "again"]);
    scratch.ok(&["status"]);
}
