//! Shuffling small sets: nothing is lost, the order is seeded, splits keep groups whole, damage is named.

use super::*;
use crate::{ImageId, PairId, TarReader, TarWriter, encode_jpeg};
use image::{Rgb, RgbImage};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

/// A manifest of `n` samples in two tars; two samples in a row share a group.
fn source(dir: &Path, n: u32) -> PathBuf {
    let from = dir.join("from");
    std::fs::create_dir_all(&from).expect("made");
    let mut rows = Vec::new();
    for part in 0..2 {
        let name = format!("{part}.tar");
        let mut tar = TarWriter::create(&from.join(&name)).expect("created");
        for i in (0..n).filter(|i| i % 2 == part) {
            let pixels = RgbImage::from_pixel(8, 8, Rgb([i as u8, (i >> 8) as u8, 9]));
            let jpeg = encode_jpeg(&pixels, 90).expect("encoded");
            let image = tar.append(&format!("{i:09}.jpg"), &jpeg).expect("appended");
            let json =
                tar.append(&format!("{i:09}.json"), format!("{{\"sha256\":\"x{i}\",\"key\":\"old\"}}").as_bytes()).expect("appended");
            rows.push(Sample {
                sample_key: format!("{i:09}"),
                image_id: ImageId::of(&jpeg),
                pair_ids: vec![PairId::new("http://a", &i.to_string())],
                captions: vec![format!("picture {i}"), format!("again {i}")],
                query_ids: vec![i],
                image_url: format!("http://a/{i}"),
                page_url: String::new(),
                split: if i == 3 { "test" } else { "train" }.to_string(),
                label: None,
                weight: 1.0,
                group_id: u64::from(i / 2),
                shard: name.clone(),
                image_offset: image.offset,
                image_length: image.length,
                text_offset: 0,
                text_length: 0,
                json_offset: json.offset,
                json_length: json.length,
                width: 8,
                height: 8,
            });
        }
        tar.finish().expect("finished");
    }
    let manifest = from.join("manifest.parquet");
    TableWriter::write_all(&manifest, &[], rows).expect("written");
    std::fs::write(from.join("card.md"), "# card\n").expect("written");
    std::fs::write(from.join("classes.json"), "[]\n").expect("written");
    manifest
}

fn run(options: &ShuffleOptions) -> (ShuffleSummary, Vec<Sample>) {
    let summary = shuffle(options, &Meter::default()).expect("shuffled");
    (summary, TableReader::read_all(&options.out.join("manifest.parquet")).expect("read"))
}

/// Every file of a folder with its bytes.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("listed");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.expect("listed");
        (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).expect("read"))
    };
    entries.map(read).collect()
}

#[test]
fn every_sample_arrives_once_and_lies_where_the_manifest_says() {
    let dir = tempfile::tempdir().expect("a folder");
    let manifest = source(dir.path(), 50);
    let options = ShuffleOptions { samples_per_shard: 20, seed: 5, ..ShuffleOptions::new(&manifest, dir.path().join("out")) };
    let (summary, rows) = run(&options);
    assert_eq!((summary.samples, summary.shards, summary.damaged, summary.val), (50, 3, 0, 0));
    let before: BTreeMap<String, Sample> =
        TableReader::<Sample>::read_all(&manifest).expect("read").into_iter().map(|row| (row.image_url.clone(), row)).collect();
    assert_eq!(rows.iter().map(|row| &row.image_url).collect::<BTreeSet<_>>().len(), 50);
    for row in &rows {
        let old = &before[&row.image_url];
        let tar = options.out.join(&row.shard);
        let file = File::open(&tar).expect("opened");
        assert_eq!(ImageId::of(&read_extent(&file, &tar, row.image()).expect("read")), old.image_id);
        assert_eq!(read_extent(&file, &tar, row.text()).expect("read"), old.captions[0].as_bytes());
        let json: Value = serde_json::from_slice(&read_extent(&file, &tar, row.json()).expect("read")).expect("JSON");
        assert_eq!((json["key"].as_str(), json["captions"][1].as_str()), (Some(row.sample_key.as_str()), Some(old.captions[1].as_str())));
        assert!(json["sha256"].as_str().is_some_and(|text| text.starts_with('x')), "old fields are taken over");
        assert_eq!((&row.pair_ids, row.group_id, &row.split), (&old.pair_ids, old.group_id, &old.split));
    }
    assert_eq!((rows[0].sample_key.as_str(), rows[49].sample_key.as_str()), ("000000000", "000020009"));
    assert_ne!(rows.iter().map(|row| row.query_ids[0]).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>(), "the order is another");
    let files = bytes(&options.out);
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["00000.tar", "00001.tar", "00002.tar", "card.md", "classes.json", "manifest.parquet", "meta.json", "sizes.json", "sums.json"]
    );
    let sizes: BTreeMap<String, usize> = serde_json::from_slice(&files["sizes.json"]).expect("JSON");
    assert_eq!(sizes.values().copied().collect::<Vec<_>>(), [20, 20, 10]);
    let sums: BTreeMap<String, String> = serde_json::from_slice(&files["sums.json"]).expect("JSON");
    assert!(sums.len() == 3 && sums.iter().all(|(tar, sum)| blake3::hash(&files[tar]).to_hex().as_str() == sum));
    let card = String::from_utf8_lossy(&files["card.md"]);
    assert!(card.starts_with("# card\n") && card.contains("50 samples with 100 captions") && card.contains("| Latin | 100 |"), "{card}");
    let members: Vec<String> =
        TarReader::open(&options.out.join("00002.tar")).expect("opened").map(|member| member.expect("whole").name).collect();
    assert_eq!(members[..3], ["000020000.jpg", "000020000.txt", "000020000.json"]);
}

#[test]
fn same_seed_same_bytes_and_leftovers_do_not_matter() {
    let dir = tempfile::tempdir().expect("a folder");
    let manifest = source(dir.path(), 40);
    let options = |out: &str, seed| ShuffleOptions { seed, holdout: 0.3, ..ShuffleOptions::new(&manifest, dir.path().join(out)) };
    run(&options("a", 1));
    // What a killed run leaves: the temporary folder with half a tar and a spill table.
    let part = dir.path().join("b.diptych-part");
    std::fs::create_dir(&part).expect("made");
    std::fs::write(part.join("00007.tar"), b"half").expect("written");
    std::fs::write(part.join("spill-000.parquet"), b"half").expect("written");
    assert!(!dir.path().join("b").exists());
    run(&options("b", 1));
    run(&options("b", 1));
    assert_eq!(bytes(&dir.path().join("a")), bytes(&dir.path().join("b")));
    run(&options("b", 2));
    assert_ne!(bytes(&dir.path().join("a"))["00000.tar"], bytes(&dir.path().join("b"))["00000.tar"]);
    let left: Vec<String> =
        std::fs::read_dir(dir.path()).expect("listed").map(|e| e.expect("listed").file_name().to_string_lossy().into()).collect();
    assert_eq!(left.iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>(), ["a", "b", "from"]);
}

#[test]
fn splits_hold_groups_together_and_keep_what_was_held_out_before() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = ShuffleOptions { holdout: 0.3, ..ShuffleOptions::new(source(dir.path(), 400), dir.path().join("out")) };
    let (summary, rows) = run(&options);
    let mut splits: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.query_ids != [3]) {
        splits.entry(row.group_id).or_default().insert(&row.split);
    }
    assert!(splits.values().all(|splits| splits.len() == 1));
    assert!(rows.iter().any(|row| row.query_ids == [3] && row.split == "test"));
    // 200 groups of two, binomial with a standard deviation of 13 samples.
    assert!((70..170).contains(&summary.val), "{}", summary.val);
    for (holdout, val) in [(0.0, 0), (1.0, 399)] {
        let (summary, _) = run(&ShuffleOptions { holdout, ..options.clone() });
        assert_eq!(summary.val, val);
    }
    assert!(matches!(shuffle(&ShuffleOptions { holdout: f64::NAN, ..options }, &Meter::default()), Err(Error::Option { .. })));
}

#[test]
fn damaged_samples_are_left_out_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let manifest = source(dir.path(), 20);
    let options = ShuffleOptions::new(&manifest, dir.path().join("out"));
    let tar = dir.path().join("from/0.tar");
    let mut whole = std::fs::read(&tar).expect("read");
    // The picture of sample 0 is overwritten, the archive is cut within its last picture.
    whole[512..516].copy_from_slice(b"junk");
    whole.truncate(whole.len() - 3000);
    std::fs::write(&tar, &whole).expect("written");
    let (summary, rows) = run(&options);
    assert_eq!(summary.damaged + summary.samples, 20);
    assert_eq!(rows.len() as u64, summary.samples);
    assert!(summary.damaged_names.iter().any(|name| name == "0.tar: 000000000: the bytes are no picture"), "{:?}", summary.damaged_names);
    assert!(summary.damaged_names.iter().any(|name| name.contains("0.tar: 000000018: damaged tar")), "{:?}", summary.damaged_names);
    std::fs::remove_file(&tar).expect("removed");
    std::fs::remove_file(dir.path().join("from/1.tar")).expect("removed");
    let before = bytes(&options.out);
    let error = shuffle(&options, &Meter::default()).expect_err("refused").to_string();
    assert!(error.contains("none of its 20 samples can be read"), "{error}");
    assert_eq!(bytes(&options.out), before, "what was there stays");
}

#[test]
fn tars_close_before_they_grow_too_large() {
    let dir = tempfile::tempdir().expect("a folder");
    let manifest = source(dir.path(), 20);
    let options = ShuffleOptions { max_shard_bytes: 8000, ..ShuffleOptions::new(&manifest, dir.path().join("out")) };
    let (summary, rows) = run(&options);
    assert!(summary.shards > 3, "{}", summary.shards);
    assert!(rows.iter().map(|row| &row.sample_key).collect::<BTreeSet<_>>().len() == 20);
}
