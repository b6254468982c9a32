//! Importing small generated datasets.

use super::*;
use crate::{Extent, ShuffleOptions, TableReader, TarWriter, encode_jpeg, png_bytes, read_extent, shuffle};
use image::{Rgb, RgbImage};
use std::fs::File;
use std::path::PathBuf;

fn jpeg(value: u8) -> Vec<u8> {
    encode_jpeg(&RgbImage::from_pixel(20, 10, Rgb([value, 50, 90])), 90).expect("encoded")
}

fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, bytes).expect("written");
}

fn run(source: &str, out: &Path) -> (ImportSummary, Vec<Sample>) {
    let summary = import(source, out, &ImportOptions::default(), &Meter::default()).expect("imported");
    (summary, TableReader::read_all(&out.join("manifest.parquet")).expect("read"))
}

fn stored(out: &Path, sample: &Sample, extent: Extent) -> Vec<u8> {
    let path = out.join(&sample.shard);
    read_extent(&File::open(&path).expect("opened"), &path, extent).expect("read")
}

fn classes(out: &Path) -> Vec<String> {
    serde_json::from_slice(&std::fs::read(out.join("classes.json")).expect("read")).expect("JSON")
}

#[test]
fn class_folders_with_splits_become_labelled_samples() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    put(&data.join("train/red_fox/a.jpg"), &jpeg(1));
    put(&data.join("train/cat/images/b.JPEG"), &jpeg(2));
    put(&data.join("test/red_fox/c.png"), &png_bytes(&RgbImage::new(7, 5)).expect("encoded"));
    put(&data.join("test/cat/broken.jpg"), &jpeg(3)[..100]);
    put(&data.join("test/cat/page.jpg"), b"<html>not found</html>");
    put(&data.join("test/cat/labels.csv"), b"x");
    put(&data.join("LICENSE"), b"x");
    let (summary, rows) = run(&format!("folder:{}", data.display()), &out);
    assert_eq!(summary.left_out, BTreeMap::from([("damaged".to_string(), 1), ("not-a-picture".to_string(), 1)]));
    assert!(summary.names.iter().any(|name| name.contains("broken.jpg")), "{:?}", summary.names);
    assert_eq!((summary.samples, summary.classes, classes(&out)), (3, 2, vec!["cat".to_string(), "red fox".to_string()]));
    let seen: Vec<_> = rows.iter().map(|row| (row.split.as_str(), row.label, row.captions[0].as_str(), row.width)).collect();
    assert_eq!(seen, [("test", Some(1), "red fox", 7), ("train", Some(0), "cat", 20), ("train", Some(1), "red fox", 20)]);
    assert_eq!(stored(&out, &rows[2], rows[2].image()), jpeg(1));
    assert_eq!(rows[2].image_id, ImageId::of(&jpeg(1)));
    let json: serde_json::Value = serde_json::from_slice(&stored(&out, &rows[2], rows[2].json())).expect("JSON");
    assert_eq!((json["file"].as_str(), json["label"].as_u64()), (Some("train/red_fox/a.jpg"), Some(1)));
}

#[test]
fn plain_class_folders_are_for_testing_and_ambiguous_names_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    let source = format!("folder:{}", data.display());
    // "train" here is a class, as it does not stand with other splits only.
    put(&data.join("train/a.jpg"), &jpeg(1));
    put(&data.join("bus/a.jpg"), &jpeg(2));
    put(&data.join("bus/copy.jpg"), &jpeg(2));
    let (_, rows) = run(&source, &out);
    assert!(rows.iter().all(|row| row.split == "test"));
    assert_eq!(classes(&out), ["bus", "train"]);
    assert!(rows[0].group_id == rows[1].group_id && rows[0].group_id != rows[2].group_id, "equal pictures share a group");
    let options = ImportOptions { split: Some("train".to_string()), ..ImportOptions::default() };
    import(&source, &out, &options, &Meter::default()).expect("imported");
    assert!(TableReader::<Sample>::read_all(&out.join("manifest.parquet")).expect("read").iter().all(|row| row.split == "train"));
    put(&data.join("a_b/x.jpg"), &jpeg(1));
    put(&data.join("a b/x.jpg"), &jpeg(1));
    let refused = |source: &str| import(source, &out, &ImportOptions::default(), &Meter::default()).expect_err("refused").to_string();
    assert!(refused(&source).contains("name the same class"));
    assert!(refused("zip:x").contains("is none of folder:DIR, tar:PATH"));
    assert!(refused(&format!("folder:{}", data.join("bus").display())).contains("no class folders"));
    assert!(!dir.path().join("out.diptych-part").exists());
}

fn tar(path: &Path, members: &[(&str, &[u8])]) -> PathBuf {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    let mut tar = TarWriter::create(path).expect("created");
    for (name, data) in members {
        tar.append(name, data).expect("appended");
    }
    tar.finish().expect("finished");
    path.to_path_buf()
}

#[test]
fn tars_are_referred_to_and_not_copied() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, out) = (dir.path().join("data"), dir.path().join("sub/out"));
    tar(
        &data.join("train/0.tar"),
        &[
            ("a.b/0001.JPG", &jpeg(1)),
            ("a.b/0001.json", br#"{"caption":"a  fox","captions":["a fox","one more"]}"#),
            ("a.b/0001.txt", b"a fox\n"),
            ("0002.txt", b"no picture"),
            ("0003.png", b"junk"),
            ("__meta__.json", b"{}"),
            ("0004.jpg", &jpeg(4)),
            ("0004.cls", b"1\n"),
            ("0005.jpg", &jpeg(5)),
            ("0005.cls", b"one"),
        ],
    );
    tar(
        &data.join("1.tar"),
        &[
            ("0004.jpg", &jpeg(6)),
            ("0004.cls", b"0"),
            ("0009.jpg", &jpeg(7)),
            ("0009.txt", b"x"),
            ("0004.jpg", &jpeg(8)),
            ("0004.jpg", &jpeg(9)),
        ],
    );
    put(&data.join("classnames.txt"), b"fox\nred_panda\n");
    let (summary, rows) = run(&format!("tar:{}", data.display()), &out);
    let expected = [("bad-class", 1), ("no-picture", 1), ("not-a-picture", 1), ("repeated-key", 1)];
    assert_eq!(summary.left_out, expected.map(|(reason, n)| (reason.to_string(), n)).into());
    assert_eq!(classes(&out), ["fox", "red_panda"]);
    let seen: Vec<_> = rows.iter().map(|row| (row.sample_key.as_str(), row.split.as_str(), row.label)).collect();
    assert_eq!(
        seen,
        [
            ("0004", "test", Some(0)),
            ("0009", "train", None),
            ("../../data/1.tar:0004", "train", None),
            ("a.b/0001", "train", None),
            ("../../data/train/0.tar:0004", "train", Some(1)),
        ]
    );
    assert_eq!(rows[3].captions, ["a fox", "one more"]);
    assert_eq!(rows[3].shard, "../../data/train/0.tar");
    assert_eq!(stored(&out, &rows[3], rows[3].image()), jpeg(1));
    assert_eq!(stored(&out, &rows[3], rows[3].text()), b"a fox\n");
    // What was imported can be sharded, and what was sharded imported, with all captions.
    let shards = dir.path().join("shards");
    shuffle(&ShuffleOptions::new(out.join("manifest.parquet"), &shards), &Meter::default()).expect("shuffled");
    let (_, back) = run(&format!("tar:{}", shards.display()), &dir.path().join("back"));
    assert_eq!(back.len(), rows.len());
    let fox = back.iter().find(|row| row.image_id == rows[3].image_id).expect("the fox");
    assert_eq!(fox.captions, ["a fox", "one more"]);
}

#[test]
fn a_cut_tar_gives_what_comes_before_the_cut() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = tar(&dir.path().join("x.tar"), &[("1.jpg", &jpeg(1)), ("1.txt", b"a"), ("2.jpg", &jpeg(2)), ("2.txt", b"b")]);
    let whole = std::fs::read(&path).expect("read");
    put(&path, &whole[..whole.len() - 2200]);
    let (summary, rows) = run(&format!("tar:{}", path.display()), &dir.path().join("out"));
    assert_eq!(rows[0].captions, ["a"]);
    assert_eq!(summary.left_out["damaged-tar"], 1);
    put(&path, b"junk");
    let source = format!("tar:{}", path.display());
    let error = import(&source, &dir.path().join("out"), &ImportOptions::default(), &Meter::default()).expect_err("refused");
    assert!(error.to_string().contains("no sample can be read"), "{error}");
}

#[test]
fn cifar_and_mnist_come_as_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = dir.path().join("cifar/cifar-100-binary");
    put(&place.join("fine_label_names.txt"), b"apple\naquarium_fish\n");
    let record =
        |label: u8, value: u8| -> Vec<u8> { [9, label].into_iter().chain((0..3072u32).map(|at| (at / 1024) as u8 * 50 + value)).collect() };
    put(&place.join("train.bin"), &[record(1, 3), record(0, 4), record(7, 5)].concat());
    put(&place.join("test.bin"), &record(0, 6));
    let source = format!("cifar:{}", dir.path().join("cifar").display());
    let (summary, rows) = run(&source, &dir.path().join("out"));
    assert_eq!(summary.left_out, BTreeMap::from([("bad-class".to_string(), 1)]));
    assert_eq!(classes(&dir.path().join("out")), ["apple", "aquarium fish"]);
    let seen: Vec<_> = rows.iter().map(|row| (row.split.as_str(), row.label, row.captions[0].as_str(), row.width)).collect();
    assert_eq!(seen, [("train", Some(1), "aquarium fish", 32), ("train", Some(0), "apple", 32), ("test", Some(0), "apple", 32)]);
    let pixels = decode(&stored(&dir.path().join("out"), &rows[0], rows[0].image()), &Limits::default()).expect("decoded").pixels;
    assert_eq!(pixels.get_pixel(31, 31), &Rgb([3, 53, 103]));
    put(&place.join("test.bin"), &[1; 100]);
    let error = import(&source, &dir.path().join("out"), &ImportOptions::default(), &Meter::default()).expect_err("refused").to_string();
    assert!(error.contains("test.bin") && error.contains("whole records of 3074"), "{error}");

    let place = dir.path().join("mnist");
    let idx = |magic: u32, sides: &[u32], bytes: &[u8]| -> Vec<u8> {
        let head = [magic].into_iter().chain(sides.iter().copied()).flat_map(u32::to_be_bytes);
        head.chain(bytes.iter().copied()).collect()
    };
    put(&place.join("train-images-idx3-ubyte"), &idx(0x803, &[2, 2, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
    put(&place.join("train-labels-idx1-ubyte"), &idx(0x801, &[2], &[3, 9]));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &idx(0x803, &[1, 2, 3], &[0; 6])).expect("packed");
    put(&place.join("t10k-images-idx3-ubyte.gz"), &packed.finish().expect("packed"));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &idx(0x801, &[1], &[0])).expect("packed");
    put(&place.join("t10k-labels-idx1-ubyte.gz"), &packed.finish().expect("packed"));
    let source = format!("mnist:{}", place.display());
    let (_, rows) = run(&source, &dir.path().join("digits"));
    let seen: Vec<_> = rows.iter().map(|row| (row.split.as_str(), row.captions[0].as_str(), row.width, row.height)).collect();
    assert_eq!(seen, [("test", "0", 3, 2), ("train", "3", 3, 2), ("train", "9", 3, 2)]);
    let pixels = decode(&stored(&dir.path().join("digits"), &rows[1], rows[1].image()), &Limits::default()).expect("decoded").pixels;
    assert_eq!(pixels.get_pixel(2, 1), &Rgb([6, 6, 6]));
    put(&place.join("train-labels-idx1-ubyte"), &idx(0x801, &[3], &[3, 9, 1]));
    let error = import(&source, &dir.path().join("digits"), &ImportOptions::default(), &Meter::default()).expect_err("refused").to_string();
    assert!(error.contains("2 pictures") && error.contains("3 labels"), "{error}");
}

#[test]
fn clip_benchmarks_layout_has_lines_and_templates() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("flickr");
    tar(&data.join("test/0.tar"), &[("s0.jpg", &jpeg(1)), ("s0.txt", b"a fox\na red fox\n\na fox\n")]);
    put(&data.join("dataset_type.txt"), b"retrieval\n");
    put(&data.join("zeroshot_classification_templates.txt"), b"a photo of a {c}.\n");
    let out = dir.path().join("out");
    let (_, rows) = run(&format!("tar:{}", data.display()), &out);
    assert_eq!((rows[0].split.as_str(), rows[0].captions.clone()), ("test", vec!["a fox".to_string(), "a red fox".to_string()]));
    assert_eq!(std::fs::read_to_string(out.join("templates.txt")).expect("read"), "a photo of a {}.\n");
    let card = std::fs::read_to_string(out.join("card.md")).expect("a card");
    assert!(card.contains("1 samples with 2 captions") && card.contains("| test | 1 |") && card.contains("`tar:flickr`"), "{card}");
}
