//! A small corpus with one of everything, written with the writers of `shards`, for tests of this room.

use crate::{Catalogue, Lake};
use shards::{
    Candidate, Commit, HostDelta, ImageId, JobKind, Meta, NewJob, PageLink, PairId, PoolRow, Reason, Sample, SegmentTotals, TableWriter,
    table_row,
};
use std::path::Path;
use tempfile::TempDir;

table_row! {
    /// An entry of the query list, as `curation` writes it.
    pub struct Query in "queries" {
        /// Its number.
        id: u32,
        /// The text matched.
        text: String,
        /// Where it came from.
        source: String,
        /// Its frequency.
        count: u64,
        /// Pointwise mutual information of its words.
        pmi: Option<f64>,
        /// Page views.
        views: Option<u64>,
        /// Why it was left out; empty when kept.
        cut: String,
    }
}

/// An empty catalogue, and the folder that it is in.
pub(crate) fn empty_catalogue() -> (TempDir, Catalogue) {
    let dir = tempfile::tempdir().expect("a folder");
    let catalogue = Catalogue::open(&dir.path().join("catalog.sqlite")).expect("made");
    (dir, catalogue)
}

/// A corpus folder and a folder of runs that are removed with it.
pub(crate) struct Corpus(TempDir);

impl Corpus {
    /// The corpus folder.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Everything in it as tables.
    pub(crate) fn lake(&self) -> Lake {
        let lake = Lake::open(Some(self.path()), Some(&self.path().join("runs"))).expect("opened");
        lake.with_shards(&[self.path().join("set")]).expect("there")
    }
}

/// Segment 1 of three fetched pairs (two near-duplicates), one full, one not found, one unmatched; a leftover segment 9 that
/// no row speaks of; one selection; one run.
pub(crate) fn corpus() -> Corpus {
    let corpus = Corpus(tempfile::tempdir().expect("a folder"));
    let path = corpus.path();
    let fetched = [
        pool("http://a.example/1.jpg", "a red circle", &[0], 300, "1"),
        pool("http://b.example/2.jpg", "a red circle", &[0], 290, "2"),
        pool("http://a.example/3.jpg", "one a blue, square", &[1], 70, "3"),
    ];
    let mut seen: Vec<Candidate> = fetched.iter().map(|row| candidate(&row.url, &row.caption, &row.query_ids, "ok", "")).collect();
    seen.push(candidate("http://b.example/4.jpg", "red circle", &[0], "http_4xx", "404 Not Found"));
    seen.push(candidate("http://b.example/5.jpg", "the red circle", &[0], "full", ""));
    seen.push(candidate("http://b.example/6.jpg", "nothing", &[], "unmatched", ""));
    write(path, "pool/00001.parquet", fetched.to_vec());
    write(path, "pool/00009.parquet", fetched[..1].to_vec());
    write(path, "candidates/00001.parquet", seen);
    let cut = Query { cut: "limit".into(), count: 90, ..query(u32::MAX, "yellow", "word") };
    write(
        path,
        "queries.parquet",
        vec![query(0, "red circle", "word"), query(1, "a blue, square", "added"), query(2, "zebra", "word"), cut],
    );
    write(path, "selection/first/manifest.parquet", vec![sample(&fetched[0], 2, "val"), sample(&fetched[2], 1, "train")]);
    let reason =
        |row: &PoolRow, reason: &str, value: String| Reason { pair_id: row.pair_id, kept: reason == "kept", reason: reason.into(), value };
    let reasons = vec![
        reason(&fetched[0], "kept", String::new()),
        reason(&fetched[1], "near-duplicate", fetched[0].pair_id.to_string()),
        reason(&fetched[2], "kept", String::new()),
    ];
    write(path, "selection/first/reasons.parquet", reasons);
    Meta::new("selection").with("pairs", 3).with("kept", 2).with("samples", 2).write(&path.join("selection/first")).expect("written");
    let labelled = |row: &PoolRow| Sample { label: Some(1), shard: "00000.tar".into(), ..sample(row, 1, "test") };
    write(path, "set/manifest.parquet", vec![labelled(&fetched[0]), labelled(&fetched[1])]);
    std::fs::write(path.join("set/00000.tar"), vec![0; 2048]).expect("written");
    Meta::new("corpus").with("seed", u64::MAX).write(path).expect("written");
    runs(&path.join("runs/small"));
    catalogue(path);
    corpus
}

fn write<R: shards::Row>(corpus: &Path, name: &str, rows: Vec<R>) {
    TableWriter::write_all(&corpus.join(name), &[], rows).expect("written");
}

fn catalogue(corpus: &Path) {
    let catalogue = Catalogue::open(&corpus.join("catalog.sqlite")).expect("made");
    let (source, _) = catalogue.source("web", "http://a.example/").expect("added");
    catalogue.add_pages(source, &[PageLink { url: "http://a.example/".into(), depth: 0 }]).expect("added");
    let job = catalogue.lease_pages(source, 10, u64::MAX).expect("leased").expect("a job");
    let host = |host: &str, bytes| HostDelta { host: host.into(), requests: 3, successes: 2, refused: 1, bytes, millis: 60 };
    let commit = Commit {
        segment: Some(SegmentTotals { candidates: 6, pairs: 3, bytes: 10240 }),
        counters: vec![(0, 4), (1, 1)],
        pages: vec![PageLink { url: "http://a.example/next".into(), depth: 1 }, PageLink { url: "http://a.example/more".into(), depth: 1 }],
        jobs: vec![NewJob { kind: JobKind::Fetch, payload: "{}".into() }],
        hosts: vec![host("a.example", 5000), host("b.example", 7000)],
        outcomes: [("ok", 3), ("http_4xx", 1), ("full", 1), ("unmatched", 1), ("page:ok", 1)].map(|(name, n)| (name.into(), n)).to_vec(),
        visited: vec![("http://a.example/".into(), "ok".into())],
        waiting: Vec::new(),
        taken_up: None,
        source_state: Some("walking".into()),
    };
    catalogue.commit(&job, &commit).expect("committed");
    catalogue.lease_pages(source, 1, u64::MAX).expect("leased").expect("a job");
    catalogue.remember("state", "kept").expect("kept");
}

const METRICS: &str = "{\"step\": 10, \"loss\": 2.5, \"samples_per_second\": 100, \"data_wait\": 0.01, \"seconds\": 4.0}
{\"step\": 20, \"loss\": 1.5, \"samples_per_second\": 200, \"data_wait\": 0.03, \"seconds\": 9.0}
";

const EVAL: &str = r#"{"task": "zero-shot", "n": 100, "top1": 0.75,
"per_class": [{"name": "cat", "n": 40, "correct": 10}, {"name": "dog", "n": 60, "correct": 60}],
"predictions": [{"sample_key": "000000001", "label": 0, "top": [[1, 0.75], [0, 0.25]]}, {"sample_key": "000000002", "label": 1, "top": [[1, 0.5]]}]}"#;

fn runs(run: &Path) {
    std::fs::create_dir_all(run.join("evals")).expect("made");
    Meta::new("run").with("model", "small").with("lr", 0.001).write(run).expect("written");
    std::fs::write(run.join("metrics.jsonl"), METRICS).expect("written");
    std::fs::write(run.join("evals/val.json"), EVAL).expect("written");
}

fn query(id: u32, text: &str, source: &str) -> Query {
    Query { id, text: text.into(), source: source.into(), count: 100, pmi: None, views: None, cut: String::new() }
}

fn candidate(url: &str, caption: &str, query_ids: &[u32], outcome: &str, detail: &str) -> Candidate {
    Candidate {
        pair_id: PairId::new(url, caption),
        image_url: url.into(),
        page_url: "http://a.example/".into(),
        caption: caption.into(),
        field: if url.ends_with("3.jpg") || outcome == "unmatched" { "figcaption" } else { "alt" }.into(),
        query_ids: query_ids.to_vec(),
        outcome: outcome.into(),
        detail: detail.into(),
        attempts: 1,
        time_ms: 1_800_000_000_000,
        ..Candidate::new(String::new(), String::new(), String::new(), "")
    }
}

fn pool(url: &str, caption: &str, query_ids: &[u32], side: u32, name: &str) -> PoolRow {
    PoolRow {
        url: url.into(),
        caption: caption.into(),
        key: format!("00001000{name}"),
        status: "success".into(),
        width: 256,
        height: 256,
        original_width: if side < 100 { 4 * side } else { side },
        original_height: side,
        sha256: (side < 100).then(|| "0a".repeat(32)),
        pair_id: PairId::new(url, caption),
        image_id: ImageId::of(url.as_bytes()),
        page_url: "http://a.example/".into(),
        query_ids: query_ids.to_vec(),
        pixel_hash: if side < 100 { "03".repeat(16) } else { "01".repeat(16) },
        perceptual_hash: u64::MAX - u64::from(side),
        thumbnail: vec![7; 192],
        flatness: 0.1,
        image_offset: 512,
        image_length: 100,
        text_offset: 1536,
        text_length: 12,
        json_offset: 2560,
        json_length: 2,
    }
}

fn sample(row: &PoolRow, captions: usize, split: &str) -> Sample {
    Sample {
        sample_key: row.key.clone(),
        image_id: row.image_id,
        pair_ids: vec![row.pair_id],
        captions: vec![row.caption.clone(); captions],
        query_ids: row.query_ids.clone(),
        image_url: row.url.clone(),
        page_url: row.page_url.clone(),
        split: split.into(),
        label: None,
        weight: 1.0,
        group_id: u64::from(row.original_height),
        shard: "../../pool/00001.tar".into(),
        image_offset: row.image_offset,
        image_length: row.image_length,
        text_offset: row.text_offset,
        text_length: row.text_length,
        json_offset: row.json_offset,
        json_length: row.json_length,
        width: row.width,
        height: row.height,
    }
}
