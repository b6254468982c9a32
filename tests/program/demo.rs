//! The demo in its quick size: every stage on the small web, judged against what was planted.

use crate::run::Scratch;
use serde_json::Value;

/// The figures of a finished demo.
pub fn report(scratch: &Scratch, out: &str) -> Value {
    let text = std::fs::read_to_string(scratch.path(out).join("report.json")).expect("a report");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn other_webs_are_decided_as_planned_too() {
    let scratch = Scratch::new();
    for seed in ["2", "3"] {
        scratch.ok(&["demo", "--quick", "--port", "0", "--seed", seed, "--out", seed]);
        let figures = report(&scratch, seed);
        for finding in ["planted_missed", "planted_wrong", "duplicates_false", "cap_wrong", "queries_wrong", "impatient"] {
            assert_eq!(figures[finding], 0, "seed {seed}, {finding}: {figures}");
        }
        assert_eq!(figures["forbidden_asked"], Value::Array(Vec::new()), "seed {seed}: {figures}");
    }
}

#[test]
fn every_planted_pair_is_decided_as_planned() {
    let scratch = Scratch::new();
    let said = scratch.ok(&["demo", "--quick", "--port", "0", "--out", "demo"]);
    let first = report(&scratch, "demo");
    assert_eq!(first["planted_missed"], 0, "{first}\n{said}");
    assert_eq!(first["planted_wrong"], 0, "{first}\n{said}");
    assert_eq!(first["duplicates_false"], 0, "{first}");
    let share = |found: &str, all: &str| first[found].as_f64().expect("a number") / first[all].as_f64().expect("a number");
    assert!(share("duplicates_found", "duplicates_planted") >= 0.95, "{first}");
    assert_eq!((&first["cap_wrong"], &first["queries_wrong"], &first["impatient"]), (&0.into(), &0.into(), &0.into()), "{first}");
    assert!(first["crowded_queries"].as_u64() >= Some(20) && first["cap_checked"].as_u64() > Some(500), "{first}");
    for never in ["forbidden_asked", "hurried", "lost"] {
        assert_eq!(first[never], Value::Array(Vec::new()), "{never}: {first}");
    }
    assert!(first["duplicates_planted"].as_u64() > Some(0) && first["pairs_kept"].as_u64() > Some(100), "{first}");
    assert!(first["refusals"]["crawl: robots"].as_u64() > Some(0), "{first}");
    assert_eq!(first["classes"], 120);
    assert!(first["peak_rss_bytes"].as_u64() > Some(1 << 24));

    let page = std::fs::read_to_string(scratch.path("demo/report.html")).expect("a page");
    for part in ["<svg", "data:image/", "near-duplicate", "prefers-color-scheme"] {
        assert!(page.contains(part), "the page lacks {part}");
    }
    assert!(!page.contains("src=\"http"), "the page is self-contained");

    // The same command finds everything done and comes to the same figures.
    scratch.ok(&["demo", "--quick", "--port", "0", "--out", "demo"]);
    let again = report(&scratch, "demo");
    for figure in ["pairs_kept", "samples", "refusals", "top1_seen", "top1_unseen", "duplicates_found"] {
        assert_eq!(first[figure], again[figure], "{figure}");
    }
    scratch.fails(&["demo", "--out", "demo"], 2, "holds a demo of seed 1 with --quick");
}
