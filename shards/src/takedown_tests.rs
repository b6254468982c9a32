//! Takedowns from small folders of shards.

use super::*;
use crate::{ERASED, ImageId, ImportOptions, Meter, ShuffleOptions, TarReader, encode_jpeg, import, read_extent, shuffle, url_name};
use image::{Rgb, RgbImage};
use std::fs::File;
use std::path::PathBuf;

/// Shards of 12 samples with URLs, pairs and a card.
fn made(dir: &Path) -> PathBuf {
    for i in 0..12u8 {
        let file = dir.join(format!("pictures/{}/{i}.jpg", ["cat", "dog"][usize::from(i % 2)]));
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(file, encode_jpeg(&RgbImage::from_pixel(9, 9, Rgb([i * 20, 7, 9])), 90).expect("encoded")).expect("written");
    }
    let set = dir.join("set");
    import(&format!("folder:{}", dir.join("pictures").display()), &set, &ImportOptions::default(), &Meter::default()).expect("imported");
    let path = set.join("manifest.parquet");
    let mut rows = TableReader::<Sample>::read_all(&path).expect("read");
    for (i, row) in rows.iter_mut().enumerate() {
        row.image_url = format!("http://h{}.example/{i}.jpg", i % 4);
        row.pair_ids = vec![PairId([i as u8; 16]), PairId([100 + i as u8; 16])];
        row.split = "train".to_string();
    }
    TableWriter::write_all(&path, &[("some", "note")], rows).expect("written");
    write_atomic(&set.join("card.md"), b"# Card\n\n| h1.example | 3 |\n| h2.example | 3 |\n").expect("written");
    let out = dir.join("out");
    shuffle(&ShuffleOptions { samples_per_shard: 5, ..ShuffleOptions::new(&path, &out) }, &Meter::default()).expect("shuffled");
    out
}

fn rows(folder: &Path) -> Vec<Sample> {
    TableReader::<Sample>::open_all(&folder.join("manifest.parquet")).expect("opened").flat_map(|batch| batch.expect("read")).collect()
}

fn ask(folder: &Path, by: &str, value: &str) -> String {
    let because = format!("{by} {value}");
    let mut removed = Removed::clone(&*Removed::read(folder).expect("read"));
    removed.extend(&[Removal { by: by.to_string(), value: value.to_string(), because: because.clone(), time_ms: 5 }]);
    removed.write(folder).expect("written");
    because
}

/// Whether any archive of the folder still has these bytes.
fn holds(folder: &Path, needle: &[u8]) -> bool {
    let files = std::fs::read_dir(folder).expect("listed").map(|entry| entry.expect("an entry").path());
    files.filter(|path| path.is_file()).any(|path| {
        let bytes = std::fs::read(path).expect("read");
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

#[test]
fn everything_of_it_goes_and_the_rest_stays_where_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = made(dir.path());
    let before = rows(&out);
    let old_hash = hash_file(&out.join("manifest.parquet")).expect("hashed");
    let pair = before.iter().find(|row| row.image_url.starts_with("http://h3.")).expect("one").pair_ids[1];
    let image = before.iter().find(|row| row.image_url.starts_with("http://h2.")).expect("one").image_id;
    let url = before.iter().find(|row| row.image_url.starts_with("http://h0.")).expect("one").image_url.clone();
    ask(&out, "host", "h1.example");
    ask(&out, "pair", &pair.to_string());
    ask(&out, "image", &image.to_string());
    let because = ask(&out, "url", &url_name(&url));
    assert_eq!(
        TableReader::<Sample>::read_all(&out.join("manifest.parquet")).expect("read").len(),
        6,
        "obeyed before anything is rewritten"
    );

    let done = take_down(&out, &out, true, 7).expect("taken down");
    assert_eq!((done.samples, done.missed.len()), (6, 0));
    let after = rows(&out);
    let gone: Vec<&Sample> = before.iter().filter(|row| !after.contains(row)).collect();
    assert_eq!((after.len(), gone.len()), (6, 6));
    for row in &gone {
        let named = row.image_url.contains("h1.") || row.pair_ids[1] == pair || row.image_id == image || row.image_url == url;
        assert!(named, "{row:?}");
        assert!(!holds(&out, row.image_url.as_bytes()) && !holds(&out, row.pair_ids[0].to_string().as_bytes()), "{}", row.image_url);
        let tar = out.join(&row.shard);
        let file = File::open(&tar).expect("opened");
        row.members().iter().for_each(|extent| assert!(read_extent(&file, &tar, *extent).expect("read").iter().all(|&byte| byte == 0)));
    }
    for row in &after {
        let tar = out.join(&row.shard);
        assert_eq!(ImageId::of(&read_extent(&File::open(&tar).expect("opened"), &tar, row.image()).expect("read")), row.image_id);
    }
    let reader = TableReader::<Sample>::open(&out.join("manifest.parquet")).expect("opened");
    assert_eq!(reader.note(REPLACES), Some(old_hash.as_str()));
    let removed = Removed::read(&out).expect("read");
    assert!(removed.rows().iter().any(|row| (row.by.as_str(), &row.value, &row.because) == ("held", &old_hash, &because)));
    let sizes: BTreeMap<String, u64> = read_json(&out.join("sizes.json")).expect("read").expect("there");
    let sums: BTreeMap<String, String> = read_json(&out.join(SUMS)).expect("read").expect("there");
    assert_eq!((sizes.values().sum::<u64>(), sizes.len(), sums.len()), (6, 3, 3));
    for (tar, sum) in &sums {
        assert_eq!(hash_file(&out.join(tar)).expect("hashed"), *sum);
        assert!(TarReader::open(&out.join(tar)).expect("opened").all(|member| member.is_ok()));
    }
    let meta = Meta::read(&out, "shards").expect("read").expect("there");
    assert_eq!(meta.properties["samples"], 6);
    let card = std::fs::read_to_string(out.join("card.md")).expect("read");
    assert!(!card.contains("h1.example") && card.contains("h2.example") && card.contains("has 6 now"), "{card}");
}

#[test]
fn done_again_or_killed_anywhere_the_files_are_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = made(dir.path());
    ask(&out, "host", "h1.example");
    let files = |folder: &Path| -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(folder).expect("listed").map(|entry| entry.expect("an entry"));
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).expect("read"))).collect()
    };
    let put_back =
        |saved: &BTreeMap<String, Vec<u8>>| saved.iter().for_each(|(name, bytes)| std::fs::write(out.join(name), bytes).expect("put"));
    let begun = files(&out);
    take_down(&out, &out, true, 7).expect("taken down");
    let whole = files(&out);
    assert_eq!(take_down(&out, &out, true, 9).expect("again").samples, 0);
    assert_eq!(files(&out), whole);
    // Killed between any two of the steps: the files of the steps so far are new, the others old.
    let order = [crate::REMOVED, SUMS, "00000.tar", "00001.tar", "00002.tar", "manifest.parquet", "sizes.json", "meta.json"];
    for done in 0..=order.len() {
        put_back(&begun);
        for name in &order[..done] {
            if *name == SUMS {
                let mut sums: BTreeMap<String, String> = serde_json::from_slice(&begun[SUMS]).expect("JSON");
                sums.retain(|tar, _| begun[tar] == whole[tar]);
                write_json(&out.join(SUMS), &sums).expect("written");
            } else {
                std::fs::write(out.join(name), &whole[*name]).expect("written");
            }
        }
        take_down(&out, &out, true, 7).expect("gone on");
        assert_eq!(files(&out), whole, "after {done} steps");
    }
    // Half of an archive's members are erased.
    put_back(&begun);
    let mut hit: Vec<Sample> = rows(&out).into_iter().filter(|row| row.image_url.contains("h1.")).collect();
    let tar = out.join(&hit[0].shard);
    hit.retain(|row| out.join(&row.shard) == tar);
    erase(&tar, &[hit[0].text()]).expect("erased");
    take_down(&out, &out, true, 7).expect("gone on");
    assert_eq!(files(&out), whole);
    let erased = TarReader::open(&tar).expect("opened").filter(|member| member.as_ref().is_ok_and(|member| member.name == ERASED)).count();
    assert_eq!(erased, 3 * hit.len());
}
