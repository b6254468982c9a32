//! Killed anywhere, out of disk: nothing is lost, doubled or half-written, and the same command goes on.

use crate::demo::report;
use crate::run::{Scratch, arg};
use shards::{Candidate, Reason, Row, Sample, TableReader};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Kills over the whole demo; each starts it again.
const KILLS: u32 = 20;

fn rows<R: Row>(folder: &Path) -> Vec<R> {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let tables = files.filter(|file| file.extension().is_some_and(|suffix| suffix == "parquet"));
    tables.flat_map(|file| TableReader::read_all(&file).expect("whole")).collect()
}

/// What the crawl and the selection decided, without anything that depends on which job did it.
type Decisions = (BTreeMap<String, String>, BTreeMap<String, (bool, String)>, BTreeSet<Vec<String>>);

fn decisions(out: &Path) -> Decisions {
    let candidates: Vec<Candidate> = rows(&out.join("corpus/candidates"));
    let reasons = TableReader::<Reason>::read_all(&out.join("corpus/selection/default/reasons.parquet")).expect("whole");
    let samples = TableReader::<Sample>::read_all(&out.join("shards/manifest.parquet")).expect("whole");
    let outcomes: BTreeMap<String, String> = candidates.iter().map(|row| (row.pair_id.to_string(), row.outcome.clone())).collect();
    assert_eq!(outcomes.len(), candidates.len(), "a pair was decided twice");
    let kept = reasons.iter().map(|row| (row.pair_id.to_string(), (row.kept, row.reason.clone()))).collect();
    let samples = samples.iter().map(|row| row.pair_ids.iter().map(ToString::to_string).collect()).collect();
    (outcomes, kept, samples)
}

fn leftovers(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.to_string_lossy().ends_with(".diptych-part") {
            found.push(entry.display().to_string());
        } else if entry.is_dir() {
            found.extend(leftovers(&entry));
        }
    }
    found
}

#[test]
fn killed_at_twenty_moments_the_demo_comes_to_the_same_decisions() {
    let scratch = Scratch::new();
    let begin = Instant::now();
    scratch.ok(&["demo", "--quick", "--port", "0", "--out", "calm"]);
    let whole = begin.elapsed();
    let begun: serde_json::Value = serde_json::from_slice(&std::fs::read(scratch.path("calm/demo.json")).expect("read")).expect("JSON");
    let port = begun["port"].to_string();
    let args = ["demo", "--quick", "--port", port.as_str(), "--out", "killed"];
    for kill in 0..KILLS {
        let mut child = scratch.start(&args);
        // Spread over the run by the golden ratio: no moment twice, none left out for long.
        let share = (f64::from(kill) * 0.618_033_988_749_895 + 0.1).fract();
        std::thread::sleep(whole.mul_f64(share));
        let _ = child.kill();
        child.wait().expect("ended");
    }
    scratch.ok(&args);
    assert_eq!(decisions(&scratch.path("calm")), decisions(&scratch.path("killed")));
    assert_eq!(report(&scratch, "killed")["planted_wrong"], 0);
    assert_eq!(leftovers(&scratch.path("killed")), Vec::<String>::new());
    training_goes_on_to_the_same_weights(&scratch);
}

/// Training on the calm run's shards, once undisturbed and once killed.
fn training_goes_on_to_the_same_weights(scratch: &Scratch) {
    let train = |out: &'static str| {
        [
            "train",
            "--manifest",
            "calm/shards/manifest.parquet",
            "--model",
            "small-resnet",
            "--image-size",
            "32",
            "--batch-size",
            "16",
            "--epochs",
            "3",
            "--checkpoint-every",
            "5",
            "--resume",
            "--out",
            out,
        ]
    };
    let begin = Instant::now();
    scratch.ok(&train("calm-run"));
    let whole = begin.elapsed();
    for kill in 1..=4 {
        let mut child = scratch.start(&train("killed-run"));
        std::thread::sleep(whole.mul_f64(0.2 * f64::from(kill)).max(Duration::from_millis(200)));
        let _ = child.kill();
        child.wait().expect("ended");
    }
    let weights = |run: &str, said: &str| {
        let folder = scratch.path(said.trim());
        assert!(folder.starts_with(scratch.path(run)), "{said}");
        std::fs::read(folder.join("model.safetensors")).expect("weights")
    };
    let calm = weights("calm-run", &scratch.ok(&train("calm-run")).out);
    let killed = weights("killed-run", &scratch.ok(&train("killed-run")).out);
    assert!(calm == killed, "the weights differ");
}

/// Runs the program with a limit on the size of files, which fails writes as a full disk does.
fn on_a_full_disk(scratch: &Scratch, kib: u32, args: &[&str]) -> (Option<i32>, String) {
    // `ulimit -f` counts in blocks of 512 bytes in a POSIX shell; its signal is ignored so that the write itself fails.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", 2 * kib);
    let output = Command::new("sh")
        .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_diptych")])
        .args(args)
        .current_dir(scratch.path("."))
        .output()
        .expect("the shell starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing_half_written() {
    let scratch = Scratch::new();
    let web = web::Web::generate(1, web::Size::SMALL);
    let dump = scratch.path("dump.xml.bz2");
    web.dump(&dump).expect("written");
    let wordlist = ["wordlist", "--dump", arg(&dump), "--min-count", "1"];
    let (code, said) = on_a_full_disk(&scratch, 1, &wordlist);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("queries.parquet"), "{said}");
    assert!(!scratch.path("queries.parquet").exists());
    let (code, said) = on_a_full_disk(&scratch, 1, &[&wordlist[..], &["--memory", "1"]].concat());
    assert_eq!(code, Some(1), "{said}");
    let names: Vec<_> = std::fs::read_dir(scratch.path(".")).expect("listed").map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("queries")), "spilled counts are left: {names:?}");

    let classes: Vec<String> = web.plan().seen.iter().take(20).cloned().collect();
    web.write_test_set(&scratch.path("pictures"), &classes).expect("written");
    let (code, said) = on_a_full_disk(&scratch, 8, &["import", "folder:pictures", "--out", "set"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("set"), "{said}");
    assert!(!scratch.path("set/manifest.parquet").exists());
    scratch.ok(&["import", "folder:pictures", "--out", "set"]);

    let (code, said) = on_a_full_disk(&scratch, 8, &["shard", "--manifest", "set/manifest.parquet", "--out", "shuffled"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(!scratch.path("shuffled").exists());
}
