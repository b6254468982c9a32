//! The report of any corpus and run: one file that needs no other, whatever strangers wrote into captions.

use crate::run::Scratch;

/// Fails when the page refers to anything outside itself.
fn is_alone(page: &str) {
    for reference in ["href=", "url(", "@import", "<script", "<link", "<iframe", "<object", "srcset"] {
        assert!(!page.contains(reference), "the page holds {reference}");
    }
    assert!(page.matches("src=").count() == page.matches("src=\"data:image/").count(), "a picture from elsewhere");
}

/// A run as training and evaluation leave it, with hostile class names.
fn run(scratch: &Scratch) {
    let meta = r#"{"kind":"run","version":1,"properties":{"model":{"name":"tiny"},"epochs":2.0,"lr":0.001},"parents":{}}"#;
    scratch.write("runs/a/meta.json", meta);
    let line = |step: u32| {
        format!(
            "{{\"step\":{step},\"epoch\":{},\"loss\":{},\"lr\":0.001,\"scale\":14.3,\"grad_norm\":1.5,\"samples_per_second\":100.0,\"data_wait\":0.02,\"seconds\":{step}.0,\"damaged\":0}}\n",
            f64::from(step) / 50.0,
            5.0 / f64::from(step)
        )
    };
    scratch.write("runs/a/metrics.jsonl", (1..=10).map(|at| line(10 * at)).collect::<String>());
    let eval = r#"{"model":"tiny","split":"test","templates":["a photo of a {}"],"n":4,"top1":0.5,"top5":1.0,"mean_per_class":0.5,
        "per_class":[{"name":"<script>alert(1)</script>","n":2,"correct":1},{"name":"b & c","n":2,"correct":1}],
        "confusion":[[1,1],[1,1]],"unlabelled":0,"damaged":0,"predictions":[{"sample_key":"x","label":0,"top":[[1,0.9],[0,0.1]]}]}"#;
    scratch.write("runs/a/evals/zero-shot-test.json", eval);
}

#[test]
fn a_run_alone_has_a_page_that_needs_no_other_file() {
    let scratch = Scratch::new();
    run(&scratch);
    let said = scratch.ok(&["report", "--run", "runs/a"]);
    assert_eq!(said.out.trim(), "runs/a/report.html");
    let page = std::fs::read_to_string(scratch.path("runs/a/report.html")).expect("a page");
    is_alone(&page);
    for part in [
        "&lt;script&gt;alert(1)",
        "b &amp; c",
        "Loss",
        "Logit scale",
        "Learning rate",
        "Waiting for data",
        "95 % interval",
        "Confusion",
        "--manifest FILE",
    ] {
        assert!(page.contains(part), "the page lacks {part}");
    }
    assert!(page.contains("prefers-color-scheme") && page.contains("@media print") && page.contains("max-width"));
    let status = scratch.ok(&["status"]);
    assert!(
        status.out.contains("tiny, step 100") && status.out.contains("done in 100 s") && status.out.contains("top-1 50.0 % of 4"),
        "{status}"
    );
    scratch.ok(&["verify", "runs"]);
}

#[test]
fn pictures_of_the_test_set_stand_with_their_predictions() {
    let scratch = Scratch::new();
    let web = web::Web::generate(1, web::Size::SMALL);
    let classes: Vec<String> = web.plan().seen.iter().take(3).cloned().collect();
    web.write_test_set(&scratch.path("pictures"), &classes).expect("written");
    scratch.ok(&["import", "folder:pictures", "--out", "set"]);
    run(&scratch);
    let text = std::fs::read_to_string(scratch.path("runs/a/evals/zero-shot-test.json")).expect("read");
    scratch.write("runs/a/evals/zero-shot-test.json", text.replace("\"x\"", "\"000000000\""));
    scratch.ok(&["report", "--run", "runs/a", "--manifest", "set/manifest.parquet", "--out", "page.html", "--title", "<b>mine</b>"]);
    let page = std::fs::read_to_string(scratch.path("page.html")).expect("a page");
    is_alone(&page);
    assert!(page.contains("data:image/jpeg") && page.contains("90.0 %") && page.contains("&lt;b&gt;mine"), "{page}");
    assert!(page.contains("Surest mistakes"));
}
