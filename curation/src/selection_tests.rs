//! Selections of small corpora: every reason, the same bytes twice, and what a killed run leaves.

use super::*;
use shards::{Candidate, ImageId, PairId, Row};
use std::collections::BTreeMap;

/// A pool row whose picture is number `picture`: unlike all others, unless thumbnails are set to be alike.
fn row(segment: u32, number: u32, picture: u64, caption: &str, queries: &[u32]) -> PoolRow {
    let url = format!("http://host{}.org/{segment}/{number}.jpg", picture % 3);
    let hash = blake3::hash(&picture.to_le_bytes());
    let mut perceptual = [0; 8];
    perceptual.copy_from_slice(&hash.as_bytes()[..8]);
    PoolRow {
        pair_id: PairId::new(&url, caption),
        url,
        caption: caption.to_string(),
        key: format!("{segment:05}{number:04}"),
        status: "success".to_string(),
        width: 100,
        height: 80,
        original_width: 200,
        original_height: 160,
        sha256: None,
        image_id: ImageId::of(&picture.to_le_bytes()),
        page_url: "http://host.org/".to_string(),
        query_ids: queries.to_vec(),
        pixel_hash: hash.to_hex()[..32].to_string(),
        perceptual_hash: u64::from_le_bytes(perceptual),
        thumbnail: (0..192u32).map(|i| hash.as_bytes()[i as usize % 32].rotate_left(i % 7)).collect(),
        flatness: 0.1,
        image_offset: 512,
        image_length: 10,
        text_offset: 1536,
        text_length: 3,
        json_offset: 2560,
        json_length: 2,
    }
}

fn write<R: Row>(path: PathBuf, rows: Vec<R>) {
    TableWriter::write_all(&path, &[], rows).expect("written");
}

/// A corpus of these segments, numbered from 1, with a query list of `queries` if there are any.
fn corpus(dir: &Path, segments: &[Vec<PoolRow>], queries: &[&str], per_query: u64) {
    for (i, rows) in segments.iter().enumerate() {
        let seen = |row: &PoolRow| Candidate {
            pair_id: row.pair_id,
            image_url: row.url.clone(),
            page_url: row.page_url.clone(),
            caption: row.caption.clone(),
            field: "alt".to_string(),
            query_ids: row.query_ids.clone(),
            outcome: shards::outcome::OK.to_string(),
            detail: String::new(),
            attempts: 1,
            time_ms: 0,
            ..Candidate::new(String::new(), String::new(), String::new(), "")
        };
        write(dir.join(format!("candidates/{:05}.parquet", i + 1)), rows.iter().map(seen).collect());
        write(dir.join(format!("pool/{:05}.parquet", i + 1)), rows.clone());
    }
    if !queries.is_empty() {
        let query = |(id, text): (usize, &&str)| Query {
            id: id as u32,
            text: text.to_string(),
            source: "added".to_string(),
            count: 0,
            pmi: None,
            views: None,
            cut: String::new(),
        };
        write(dir.join("queries.parquet"), queries.iter().enumerate().map(query).collect());
    }
    Meta::new("corpus").with("seed", 7).with("per_query", per_query).with("headroom", 1.5).write(dir).expect("written");
}

fn run(options: &SelectOptions) -> (SelectSummary, Vec<Sample>, Vec<Reason>) {
    let summary = select(options, &Meter::default()).expect("selected");
    let folder = options.corpus.join("selection").join(&options.name);
    let read = |name: &str| folder.join(name);
    (
        summary,
        TableReader::read_all(&read("manifest.parquet")).expect("read"),
        TableReader::read_all(&read("reasons.parquet")).expect("read"),
    )
}

fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("listed").map(|entry| entry.expect("listed").path());
    entries.map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), std::fs::read(&path).expect("read"))).collect()
}

/// One segment in which every rule but the balance has something to refuse.
fn mixed() -> Vec<PoolRow> {
    let mut rows: Vec<PoolRow> = (0..12).map(|i| row(1, i, u64::from(i), &format!("a cat number {i}"), &[])).collect();
    (rows[1].original_width, rows[1].original_height) = (63, 400);
    rows[2].original_width = 481;
    rows[3].caption = "2024 -- 12".to_string();
    rows[4].flatness = 0.99;
    // 6 has the bytes of 5 under another caption, 7 those of 5 and its caption.
    rows[6].image_id = rows[5].image_id;
    rows[6].pixel_hash = rows[5].pixel_hash.clone();
    (rows[7].image_id, rows[7].pixel_hash) = (rows[5].image_id, rows[5].pixel_hash.clone());
    rows[7].caption = rows[5].caption.clone();
    // 9 is a copy of 8, three bits off, a little brighter and larger; 10 has the hash of 8 but other colours.
    rows[9].perceptual_hash = rows[8].perceptual_hash ^ 0b10000000100000001;
    rows[9].thumbnail = rows[8].thumbnail.iter().map(|value| value.saturating_add(2)).collect();
    rows[9].original_width = 220;
    rows[10].perceptual_hash = rows[8].perceptual_hash;
    rows
}

#[test]
fn every_pair_has_its_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = mixed();
    corpus(dir.path(), std::slice::from_ref(&rows), &[], 0);
    let (summary, samples, reasons) = run(&SelectOptions::new(dir.path()));
    let (better, worse) = if rows[5].pair_id < rows[7].pair_id { (5, 7) } else { (7, 5) };
    let mut expected: Vec<(&str, String)> = vec![("kept", String::new()); 12];
    expected[1] = ("min-side", "63".to_string());
    expected[2] = ("aspect", "3.01".to_string());
    expected[3] = ("caption-words", "0".to_string());
    expected[4] = ("flat", "0.9900".to_string());
    expected[worse] = ("exact-duplicate", rows[better].pair_id.to_string());
    expected[8] = ("near-duplicate", rows[9].pair_id.to_string());
    let found: Vec<(&str, String)> = reasons.iter().map(|reason| (reason.reason.as_str(), reason.value.clone())).collect();
    assert_eq!(found, expected);
    assert!(reasons.iter().zip(&rows).all(|(reason, row)| reason.pair_id == row.pair_id && reason.kept == (reason.reason == "kept")));
    assert_eq!((summary.pairs, summary.kept, summary.samples, summary.per_query), (12, 6, 5, None));
    assert_eq!(summary.removed.iter().map(|(_, n)| n).sum::<u64>(), 6);
    // The two captions of picture 5 are one sample; the better pair comes first and gives the picture.
    let both = samples.iter().find(|sample| sample.captions.len() == 2).expect("a sample with two captions");
    let first = if rows[better].pair_id < rows[6].pair_id { better } else { 6 };
    assert_eq!((&both.sample_key, both.pair_ids[0]), (&rows[first].key, rows[first].pair_id));
    assert_eq!(both.group_id, [5, 6, 7].map(|i| rows[i].pair_id.fingerprint()).into_iter().min().expect("three"));
    // The copy's group is that of the kept picture, and counts the copy's fingerprint in.
    let kept = samples.iter().find(|sample| sample.sample_key == rows[9].key).expect("kept");
    assert_eq!(kept.group_id, rows[8].pair_id.fingerprint().min(rows[9].pair_id.fingerprint()));
    assert!(samples.is_sorted_by_key(|sample| sample.sample_key.clone()));
    assert!(samples.iter().all(|sample| sample.shard == "../../pool/00001.tar" && sample.split == "train"));
    let card = std::fs::read_to_string(dir.path().join("selection/default/card.md")).expect("read");
    assert!(card.contains("5 samples (pictures) with 6 captions, out of 12 pairs"), "{card}");
    assert!(card.contains("| `near-duplicate` | picture is a copy") && card.contains("host0.org"), "{card}");
}

#[test]
fn rules_switched_off_keep_their_pairs_but_not_apart() {
    let dir = tempfile::tempdir().expect("a folder");
    corpus(dir.path(), &[mixed()], &[], 0);
    let mut options = SelectOptions::new(dir.path());
    options.filters.off = crate::RULES.map(str::to_string).to_vec();
    let (summary, samples, _) = run(&options);
    assert_eq!((summary.kept, summary.samples), (12, 12));
    assert!(samples[5].group_id == samples[6].group_id && samples[8].group_id == samples[9].group_id);
    assert!(samples[10].group_id != samples[8].group_id);
    options.filters.off = vec!["blurry".to_string()];
    assert!(matches!(select(&options, &Meter::default()), Err(Error::UnknownRule { .. })));
    options = SelectOptions { name: "../x".to_string(), ..SelectOptions::new(dir.path()) };
    assert!(matches!(select(&options, &Meter::default()), Err(Error::Name { .. })));
    assert!(matches!(select(&SelectOptions::new(dir.path().join("pool")), &Meter::default()), Err(Error::Corpus { .. })));
}

#[test]
fn a_caption_on_too_many_pictures_is_boilerplate() {
    let dir = tempfile::tempdir().expect("a folder");
    // "logo" on four pictures, one of them twice; "sign" on three.
    let captions = ["logo", "logo", "logo", "logo", "logo", "sign", "sign", "sign"];
    let rows: Vec<PoolRow> = (0..8).map(|i| row(1, i, if i == 4 { 3 } else { u64::from(i) }, captions[i as usize], &[])).collect();
    corpus(dir.path(), &[rows], &[], 0);
    let mut options = SelectOptions::new(dir.path());
    options.filters.max_pictures = 3;
    let (_, _, reasons) = run(&options);
    let found: Vec<(&str, &str)> = reasons.iter().map(|reason| (reason.reason.as_str(), reason.value.as_str())).collect();
    assert_eq!(found[..5], [("caption-repeated", "4"); 5]);
    assert_eq!(found[5..], [("kept", ""); 3]);
}

#[test]
fn the_balance_is_the_cap_on_what_the_other_rules_left() {
    let dir = tempfile::tempdir().expect("a folder");
    // 600 pairs of "cat", every 20th also of the rare "lynx"; a quarter is flat. The crawl asked for up to 1.5 x 1,000.
    let mut segments: Vec<Vec<PoolRow>> = vec![Vec::new(), Vec::new()];
    for i in 0..600 {
        let segment = 1 + i / 300;
        let queries: &[u32] = if i % 20 == 0 { &[0, 1] } else { &[0] };
        let mut row = row(segment, i, u64::from(i), &format!("cat {i}"), queries);
        row.flatness = if i % 4 == 3 { 1.0 } else { 0.2 };
        segments[segment as usize - 1].push(row);
    }
    corpus(dir.path(), &segments, &["cat", "lynx"], 1000);
    let options = SelectOptions { per_query: Some(90), ..SelectOptions::new(dir.path()) };
    let (summary, samples, reasons) = run(&options);
    // 450 survivors, threshold 90 / 450: inside by the hash alone, or by the rare query.
    let cap = Cap { seed: 7, per_query: 90 };
    let rows: Vec<&PoolRow> = segments.iter().flatten().collect();
    for (row, reason) in rows.iter().zip(&reasons) {
        let expected = match () {
            () if row.flatness == 1.0 => "flat",
            () if row.query_ids.len() == 2 || cap.fraction(&row.pair_id, "cat") < 0.2 => "kept",
            () => "balance",
        };
        assert_eq!(reason.reason, expected, "{}", row.key);
    }
    assert!(samples.iter().any(|sample| sample.shard.ends_with("00002.tar")));
    assert_eq!((summary.per_query, summary.unreachable), (Some(90), 0));
    // Without a query list, and with a cap of 0, nothing is balanced.
    let all = SelectOptions { per_query: Some(0), ..options.clone() };
    assert_eq!(run(&all).0.kept, 450);
    // Only committed segments count.
    let (summary, ..) = run(&SelectOptions { segments: Some(vec![2]), ..options.clone() });
    assert_eq!(summary.pairs, 300);
    std::fs::remove_file(dir.path().join("queries.parquet")).expect("removed");
    assert_eq!(run(&options).0.per_query, None);
}

#[test]
fn same_input_same_bytes_and_leftovers_do_not_matter() {
    let dir = tempfile::tempdir().expect("a folder");
    corpus(dir.path(), &[mixed(), (0..30).map(|i| row(2, i, 1000 + u64::from(i), "a dog", &[0])).collect()], &["dog"], 5);
    let options = SelectOptions::new(dir.path());
    let other = SelectOptions { name: "other".to_string(), ..options.clone() };
    run(&options);
    // What killed programs leave: a half-written segment, and a half-written selection.
    std::fs::write(dir.path().join("pool/00003.parquet.diptych-part"), b"half").expect("written");
    std::fs::create_dir(dir.path().join("selection/other.diptych-part")).expect("made");
    std::fs::write(dir.path().join("selection/other.diptych-part/reasons.parquet"), b"half").expect("written");
    assert!(!dir.path().join("selection/other").exists());
    run(&other);
    let (mut a, mut b) = (bytes(&dir.path().join("selection/default")), bytes(&dir.path().join("selection/other")));
    assert_eq!(a.keys().collect::<Vec<_>>(), ["card.md", "manifest.parquet", "meta.json", "reasons.parquet"]);
    let card = |files: &mut BTreeMap<String, Vec<u8>>| String::from_utf8(files.remove("card.md").expect("a card")).expect("text");
    assert_eq!(card(&mut a).replace("`default`", "`other`"), card(&mut b));
    assert_eq!(a, b);
    run(&options);
    assert_eq!(bytes(&dir.path().join("selection/default"))["manifest.parquet"], a["manifest.parquet"]);
    assert!(!dir.path().join("selection/other.diptych-part").exists());
}
