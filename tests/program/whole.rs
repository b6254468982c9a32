//! `verify`: damage anywhere is found, named, and answered with advice; what is whole passes.

use crate::run::{Said, Scratch};
use shards::{Candidate, Commit, ImageId, JobKind, Meta, NewJob, PairId, PoolRow, SegmentTotals, TableWriter, TarWriter};
use std::path::Path;

/// A corpus of one segment with a selection, shards of it and an imported set, all by the program's own writers.
pub fn made() -> Scratch {
    let scratch = Scratch::new();
    let corpus = scratch.path("corpus");
    Meta::new("corpus")
        .with("seed", 1)
        .with("per_query", 0)
        .with("image_size", 32)
        .with("resize_mode", "no")
        .write(&corpus)
        .expect("written");
    let web = web::Web::generate(1, web::Size::SMALL);
    let classes: Vec<String> = web.plan().seen.iter().take(6).cloned().collect();
    web.write_test_set(&scratch.path("pictures"), &classes).expect("written");
    let mut tar = TarWriter::create(&corpus.join("pool/00001.tar")).expect("begun");
    let mut rows = Vec::new();
    for (at, picture) in pictures(&scratch.path("pictures")).iter().enumerate() {
        rows.push(pool_row(&mut tar, at, &std::fs::read(picture).expect("read")));
    }
    let bytes = tar.finish().expect("written");
    let seen: Vec<Candidate> = rows.iter().map(candidate).collect();
    let totals = SegmentTotals { candidates: seen.len() as u64, pairs: rows.len() as u64, bytes };
    TableWriter::write_all(&corpus.join("pool/00001.parquet"), &[], rows).expect("written");
    TableWriter::write_all(&corpus.join("candidates/00001.parquet"), &[], seen).expect("written");
    let catalogue = sql::Catalogue::open(&corpus.join("catalog.sqlite")).expect("made");
    let (source, _) = catalogue.source("urls", "list.csv").expect("added");
    catalogue.add_jobs(source, &[NewJob { kind: JobKind::Fetch, payload: "{}".into() }], "planned").expect("added");
    let job = catalogue.next_job(source, JobKind::Fetch).expect("asked").expect("a job");
    catalogue
        .commit(&job, &Commit { segment: Some(totals), outcomes: vec![("ok".into(), 6), ("http_4xx".into(), 2)], ..Commit::default() })
        .expect("committed");
    drop(catalogue);
    scratch.ok(&["curate"]);
    scratch.ok(&["shard", "--manifest", "corpus/selection/default/manifest.parquet", "--out", "corpus-shards"]);
    scratch.ok(&["import", "folder:pictures", "--out", "set"]);
    scratch
}

/// A picture of each class.
fn pictures(folder: &Path) -> Vec<std::path::PathBuf> {
    let list = |folder: &Path| -> Vec<std::path::PathBuf> {
        let mut found: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        found.sort();
        found
    };
    let first = |folder: &Path| list(folder).into_iter().next().expect("a picture");
    list(folder).iter().map(|class| if class.is_dir() { first(class) } else { class.clone() }).collect()
}

fn pool_row(tar: &mut TarWriter, at: usize, bytes: &[u8]) -> PoolRow {
    let picture = shards::Received::decode(bytes, &shards::Limits::default()).expect("a picture");
    let ((width, height), measures) = (picture.dimensions(), picture.measures());
    let (key, url) = (format!("00001{at:04}"), format!("http://a.example/{at}.jpg"));
    let caption = format!("picture number {at} of some things");
    let mut row = PoolRow {
        pair_id: PairId::new(&url, &caption),
        url,
        caption,
        key,
        status: "success".into(),
        width,
        height,
        original_width: width,
        original_height: height,
        sha256: None,
        image_id: ImageId::of(bytes),
        page_url: String::new(),
        query_ids: Vec::new(),
        pixel_hash: measures.pixel_hash,
        perceptual_hash: measures.perceptual_hash,
        thumbnail: measures.thumbnail,
        flatness: measures.flatness,
        image_offset: 0,
        image_length: 0,
        text_offset: 0,
        text_length: 0,
        json_offset: 0,
        json_length: 0,
    };
    let image = tar.append(&format!("{}.jpg", row.key), bytes).expect("written");
    let text = tar.append(&format!("{}.txt", row.key), row.caption.as_bytes()).expect("written");
    let json = tar.append(&format!("{}.json", row.key), row.record(&candidate(&row)).as_bytes()).expect("written");
    (row.image_offset, row.image_length) = (image.offset, image.length);
    (row.text_offset, row.text_length) = (text.offset, text.length);
    (row.json_offset, row.json_length) = (json.offset, json.length);
    row
}

fn candidate(row: &PoolRow) -> Candidate {
    Candidate {
        pair_id: row.pair_id,
        image_url: row.url.clone(),
        page_url: String::new(),
        caption: row.caption.clone(),
        field: "column".into(),
        query_ids: Vec::new(),
        outcome: "ok".into(),
        detail: String::new(),
        attempts: 1,
        time_ms: 0,
        ..Candidate::new(String::new(), String::new(), String::new(), "")
    }
}

/// Changes a file, expects the damage to be found at it, and puts the file back.
fn found_at(scratch: &Scratch, file: &str, change: impl Fn(&mut Vec<u8>)) -> Said {
    let whole = std::fs::read(scratch.path(file)).expect(file);
    let mut changed = whole.clone();
    change(&mut changed);
    scratch.write(file, &changed);
    let said = scratch.run(&["verify", "corpus", "corpus-shards", "set"]);
    assert_eq!(said.code, Some(1), "{file}: {said}");
    let name = Path::new(file).file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(said.out.lines().any(|line| line.starts_with("damaged") && line.contains(name) && line.contains("; ")), "{file}: {said}");
    assert!(!said.err.contains("panicked"), "{said}");
    scratch.write(file, &whole);
    said
}

#[test]
fn what_is_whole_passes_and_damage_is_named() {
    let scratch = made();
    let said = scratch.ok(&["verify", "corpus", "corpus-shards", "set"]);
    assert!(said.err.contains("no damage") && !said.out.contains("damaged"), "{said}");
    let tars = ["corpus/pool/00001.tar", "corpus-shards/00000.tar", "set/00000.tar"];
    let tables = ["corpus/pool/00001.parquet", "corpus/candidates/00001.parquet", "corpus-shards/manifest.parquet", "set/manifest.parquet"];
    for file in tars.iter().chain(&tables).chain(&["corpus/selection/default/reasons.parquet"]) {
        // A byte flipped in the middle of the data, and one within the first member or row group.
        found_at(&scratch, file, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
        });
        found_at(&scratch, file, |bytes| bytes[600] ^= 1);
        found_at(&scratch, file, |bytes| bytes.truncate(bytes.len() * 2 / 3));
    }
    // A header, a name, and a size that the catalogue knows.
    assert!(found_at(&scratch, tars[0], |bytes| bytes[2] ^= 1).out.contains("sum is wrong"));
    found_at(&scratch, tars[0], |bytes| bytes.extend([0; 512]));
    found_at(&scratch, "set/sizes.json", |bytes| *bytes = b"{\"00000.tar\": 1}".to_vec());
    found_at(&scratch, "corpus/meta.json", |bytes| bytes.truncate(20));
    found_at(&scratch, "corpus/catalog.sqlite", |bytes| bytes[..16].fill(0));
    scratch.ok(&["verify", "corpus", "corpus-shards", "set"]);
}

#[test]
fn missing_members_and_files_are_named() {
    let scratch = made();
    // The same archive without its fourth member: all bytes are as they were written, but the rows no longer fit.
    let path = scratch.path("set/00000.tar");
    let members: Vec<_> = shards::TarReader::open(&path).expect("opened").map(|member| member.expect("whole")).collect();
    let file = std::fs::File::open(&path).expect("opened");
    let mut tar = TarWriter::create(&path).expect("begun");
    for member in members.iter().enumerate().filter(|(at, _)| *at != 3).map(|(_, member)| member) {
        tar.append(&member.name, &shards::read_extent(&file, &path, member.extent).expect("read")).expect("written");
    }
    tar.finish().expect("written");
    let said = scratch.fails(&["verify", "set"], 1, "places are damaged");
    assert!(said.out.contains("where no member is") && said.out.contains("row 1 (000000001)"), "{said}");
    for file in
        ["corpus/pool/00001.tar", "corpus/candidates/00001.parquet", "corpus-shards/00000.tar", "corpus/selection/default/manifest.parquet"]
    {
        let kept = std::fs::read(scratch.path(file)).expect("read");
        std::fs::remove_file(scratch.path(file)).expect("removed");
        let said = scratch.fails(&["verify", "corpus", "corpus-shards"], 1, "damaged");
        assert!(said.out.contains("missing"), "{said}");
        scratch.write(file, kept);
    }
    scratch.ok(&["verify"]);
    // Files of jobs that the catalogue never had may be all that is left of them: an older catalogue was put back.
    scratch.write("corpus/pool/00009.tar", "whole");
    assert!(scratch.fails(&["verify", "corpus"], 1, "damaged").out.contains("the catalogue never had"));
    scratch.write("list.csv", "url,caption\nhttp://127.0.0.1:9/a.png,a fox\n");
    scratch.fails(&["crawl", "--corpus", "corpus", "--source", "urls:list.csv", "--allow-private"], 1, "older than the files");
    assert!(scratch.path("corpus/pool/00009.tar").exists() && scratch.path("corpus/pool/00001.tar").exists());
}

#[test]
fn status_speaks_of_every_stage() {
    let scratch = made();
    let said = scratch.ok(&["status"]);
    for part in [
        "urls:list.csv: done; jobs 1 done and 0 left",
        "pool       6 pairs of 6 candidates",
        "failed     http_4xx 2",
        "diptych crawl --corpus corpus --retry http_4xx",
        "curate     default: kept 6 of 6",
        "shard      corpus-shards: 6 samples",
        "no run in runs",
    ] {
        assert!(said.out.contains(part), "status lacks {part:?}\n{said}");
    }
}
