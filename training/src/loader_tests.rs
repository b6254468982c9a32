//! The loader: order, resuming, ranks, damage, memory.

use super::*;
use crate::Source;
use crate::fixture::write_manifest;
use proptest::prelude::*;
use shards::{Sample, TableReader};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

const SIDE: usize = 16;

fn bytes_as_tokens() -> Tokenize {
    Arc::new(|text, most| text.bytes().map(u32::from).take(most).collect())
}

fn options(batch_size: usize, workers: usize) -> LoaderOptions {
    LoaderOptions {
        seed: 3,
        batch_size,
        image_size: SIDE as u32,
        augment: Augment::Crop,
        context_length: 22,
        workers,
        device: Device::Cpu,
        rank: (0, 1),
    }
}

/// A batch by what it shows: each picture with its row of tokens.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    next: Position,
    pairs: Vec<(Vec<f32>, Vec<i64>)>,
    damaged: Vec<Damaged>,
}

impl From<Batch> for Seen {
    fn from(batch: Batch) -> Self {
        let pictures: Vec<f32> = Vec::try_from(batch.pictures().to_kind(Kind::Float).flatten(0, -1)).expect("numbers");
        let rows: Vec<Vec<i64>> = batch.tokens.chunks(batch.text_length).map(<[i64]>::to_vec).collect();
        // Rows of slices are padded to the slice's own longest caption.
        let unpadded = |row: i64| rows[row as usize].iter().copied().filter(|&id| id != 0).collect();
        let pairs = pictures.chunks(3 * SIDE * SIDE).zip(&batch.caption_of).map(|(picture, &row)| (picture.to_vec(), unpadded(row)));
        Seen { next: batch.next, pairs: pairs.collect(), damaged: batch.damaged.clone() }
    }
}

fn batches_of(sources: &[Source], options: LoaderOptions, from: Position, count: usize) -> Vec<Seen> {
    let samples = Arc::new(Samples::read(sources).expect("read"));
    let mut loader = Loader::start(samples, bytes_as_tokens(), options, from).expect("started");
    (0..count).map(|_| loader.next_batch().expect("a batch").into()).collect()
}

fn batches(folder: &Path, options: LoaderOptions, from: Position, count: usize) -> Vec<Seen> {
    batches_of(&[folder.join("manifest.parquet").into()], options, from, count)
}

/// `count` pictures packed as `shard` does it, in tars of 7.
fn packed(folder: &Path, count: usize, side: u32) -> PathBuf {
    let mut options = shards::ShuffleOptions::new(write_manifest(folder, count, side), folder.join("packed"));
    options.samples_per_shard = 7;
    shards::shuffle(&options, &shards::Meter::default()).expect("packed");
    folder.join("packed")
}

fn rows(folder: &Path) -> Vec<Sample> {
    TableReader::read_all(&folder.join("manifest.parquet")).expect("read")
}

/// Changes a file.
fn alter(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).expect("read");
    change(&mut bytes);
    std::fs::write(path, &bytes).expect("written");
}

#[test]
fn threads_do_not_matter_and_any_position_resumes() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = packed(dir.path(), 23, 20);
    let all = batches(&folder, options(5, 1), Position::default(), 12);
    assert_eq!(batches(&folder, options(5, 4), Position::default(), 12), all);
    assert_eq!(all[3].next, Position { epoch: 0, index: 20 });
    assert_eq!(all[4].next, Position { epoch: 1, index: 2 });
    for resumed in [1, 4, 9] {
        assert_eq!(batches(&folder, options(5, 2), all[resumed - 1].next, 12 - resumed), all[resumed..]);
    }
    let other_seed = batches(&folder, LoaderOptions { seed: 4, ..options(5, 1) }, Position::default(), 1);
    assert_ne!(other_seed[0].pairs, all[0].pairs);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Any start, number of threads and ranks gives the pairs that one thread of one rank gives.
    #[test]
    fn slices_of_ranks_make_up_the_batch(
        count in 1usize..40,
        share in 1usize..6,
        ranks in 1usize..5,
        workers in 1usize..4,
        from in 0u64..100,
        seed: u64,
        weight in prop_oneof![Just(1.0), Just(0.4), Just(2.3)],
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let source = Source { manifest: packed(dir.path(), count + 2, 12).join("manifest.parquet"), weight };
        let length = Samples::read(std::slice::from_ref(&source)).expect("read").epoch_length();
        let from = Position::default().after(from, length);
        let options = LoaderOptions { seed, ..options(share * ranks, workers) };
        let whole = batches_of(std::slice::from_ref(&source), LoaderOptions { workers: 1, ..options.clone() }, from, 4);
        let slices: Vec<Vec<Seen>> = (0..ranks)
            .map(|rank| batches_of(std::slice::from_ref(&source), LoaderOptions { rank: (rank, ranks), ..options.clone() }, from, 4))
            .collect();
        for (i, batch) in whole.iter().enumerate() {
            let together: Vec<_> = slices.iter().flat_map(|slice| slice[i].pairs.clone()).collect();
            prop_assert_eq!(&together, &batch.pairs);
            prop_assert!(slices.iter().all(|slice| slice[i].next == batch.next));
        }
    }
}

#[test]
fn an_epoch_has_every_sample_once() {
    let dir = tempfile::tempdir().expect("a folder");
    write_manifest(dir.path(), 12, 16);
    let plain = LoaderOptions { augment: Augment::None, ..options(4, 2) };
    let all = batches(dir.path(), plain, Position::default(), 6);
    let pictures = |batches: &[Seen]| {
        let mut pictures: Vec<Vec<u32>> = batches
            .iter()
            .flat_map(|batch| &batch.pairs)
            .map(|(picture, _)| picture.iter().map(|number| number.to_bits()).collect())
            .collect();
        pictures.sort();
        pictures
    };
    assert_eq!(pictures(&all[..3]), pictures(&all[3..]));
    let mut distinct = pictures(&all[..3]);
    distinct.dedup();
    assert_eq!(distinct.len(), 12);
    assert_ne!(all[0].pairs, all[3].pairs, "the second epoch has another order");
}

#[test]
fn all_captions_are_drawn() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = packed(dir.path(), 8, 8);
    let captions = rows(&folder).into_iter().flat_map(|row| row.captions);
    let expected: std::collections::HashSet<Vec<i64>> = captions.map(|caption| caption.bytes().take(22).map(i64::from).collect()).collect();
    let drawn = batches(&folder, options(8, 2), Position::default(), 12).into_iter().flat_map(|batch| batch.pairs).map(|pair| pair.1);
    assert_eq!(drawn.collect::<std::collections::HashSet<_>>(), expected);
}

#[test]
fn pictures_for_a_gpu_are_bytes_of_the_same_views() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = packed(dir.path(), 9, 20);
    let floats = batches(&folder, options(6, 2), Position::default(), 2);
    // Without a GPU the memory is not pinned, and nothing else differs.
    let bytes = batches(&folder, LoaderOptions { device: Device::Cuda(0), ..options(6, 2) }, Position::default(), 2);
    for ((floats, _), (bytes, _)) in floats.iter().zip(&bytes).flat_map(|(a, b)| a.pairs.iter().zip(&b.pairs)) {
        let rows: Vec<u8> = bytes.iter().map(|&byte| byte as u8).collect();
        let mut normalised = vec![0.0; rows.len()];
        normalise_rows(&rows, &mut normalised);
        assert_eq!(&normalised, floats);
    }
}

#[test]
fn memory_goes_round() {
    let dir = tempfile::tempdir().expect("a folder");
    let samples = Arc::new(Samples::read(&[write_manifest(dir.path(), 12, 16).into()]).expect("read"));
    let mut loader = Loader::start(samples, bytes_as_tokens(), options(4, 2), Position::default()).expect("started");
    let mut places = std::collections::HashSet::new();
    for _ in 0..40 {
        places.insert(loader.next_batch().expect("a batch").pictures().data_ptr() as usize);
    }
    assert!(places.len() <= 5, "{} buffers for 40 batches", places.len());
    let times = loader.times();
    assert!(times.decode > Duration::ZERO);
    let kept: Tensor = loader.next_batch().expect("a batch").pictures().copy();
    assert_eq!(kept.size(), [4, SIDE as i64, SIDE as i64, 3]);
}

#[test]
fn a_damaged_sample_is_replaced_and_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let manifest = write_manifest(dir.path(), 10, 16);
    let rows = rows(dir.path());
    let tar = dir.path().join("00000.tar");
    let spoil = |i: usize| alter(&tar, |bytes| bytes[rows[i].image_offset as usize..][..40].fill(0));
    spoil(4);
    let all = batches(dir.path(), options(5, 2), Position::default(), 4);
    assert_eq!(all, batches(dir.path(), options(5, 3), Position::default(), 4));
    let damaged: Vec<&Damaged> = all.iter().flat_map(|batch| &batch.damaged).collect();
    assert!(damaged.len() >= 2, "once an epoch, and when it is drawn as a spare");
    assert!(damaged[0].location.ends_with(&format!("00000.tar at byte {}", rows[4].image_offset)), "{:?}", damaged[0]);
    (0..10).for_each(spoil);
    let samples = Arc::new(Samples::read(&[manifest.into()]).expect("read"));
    let mut loader = Loader::start(samples, bytes_as_tokens(), options(5, 2), Position::default()).expect("started");
    assert!(matches!(loader.next_batch(), Err(Error::Unreadable { .. })));
    assert!(loader.next_batch().is_err());
}

#[test]
fn every_kind_of_damage_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = packed(dir.path(), 14, 16);
    let rows = rows(&folder);
    let tar = |i: usize| folder.join(&rows[i].shard);
    let end = |i: usize| (rows[i].image_offset + rows[i].image_length) as usize;
    // A bit of the pixels; the decoder would not mind.
    alter(&tar(0), |bytes| bytes[end(0) - 5] ^= 4);
    // A caption.
    alter(&tar(1), |bytes| {
        let at = rows[1].json_offset as usize;
        let text = String::from_utf8_lossy(&bytes[at..at + rows[1].json_length as usize]).replace("kind", "mind");
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    });
    // A header.
    alter(&tar(2), |bytes| bytes[rows[2].image_offset as usize - 400] ^= 1);
    // Taken down: the name says so, its bytes are gone, the header is sound.
    alter(&tar(3), |bytes| {
        let at = rows[3].image_offset as usize - 512;
        bytes[at..at + 100].fill(0);
        bytes[at..at + 11].copy_from_slice(b"__removed__");
        bytes[at + 148..at + 156].fill(b' ');
        let sum: u32 = bytes[at..at + 512].iter().map(|&byte| u32::from(byte)).sum();
        bytes[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes[at + 512..end(3)].fill(0);
    });
    // The second archive is cut within its last picture but one.
    alter(&tar(13), |bytes| bytes.truncate(end(12) - 3));
    let all = batches(&folder, options(7, 2), Position::default(), 2);
    let told: HashMap<String, String> =
        all.iter().flat_map(|batch| &batch.damaged).map(|damaged| (damaged.location.clone(), damaged.why.clone())).collect();
    let expected = [
        (0, "do not fit the sum"),
        (1, "captions in the archive are not those"),
        (2, "there is no member here"),
        (3, "was removed"),
        (12, "the file has"),
        (13, "the file has"),
    ];
    for (i, why) in expected {
        let location = format!("{} at byte {}", tar(i).display(), rows[i].image_offset);
        assert!(told.get(&location).is_some_and(|told| told.contains(why)), "{i}: {why}: {told:?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:?}");
    assert!(all.iter().all(|batch| batch.pairs.len() == 7));
}

#[test]
fn sources_mix_by_their_weights() {
    let dirs = [0, 1].map(|_| tempfile::tempdir().expect("a folder"));
    write_manifest(dirs[0].path(), 30, 16);
    // The same archive shape with pictures of another side, so that views tell them apart.
    write_manifest(dirs[1].path(), 20, 40);
    let mut rows_of_second = rows(dirs[1].path());
    rows_of_second.iter_mut().for_each(|row| row.captions = vec!["second".to_string()]);
    shards::TableWriter::write_all(&dirs[1].path().join("manifest.parquet"), &[], rows_of_second).expect("written");
    let sources =
        [dirs[0].path().join("manifest.parquet").into(), Source { manifest: dirs[1].path().join("manifest.parquet"), weight: 0.5 }];
    assert_eq!(Samples::read(&sources).expect("read").epoch_length(), 40);
    let second: Vec<i64> = "second".bytes().map(i64::from).collect();
    let mut pictures: HashMap<Vec<u32>, usize> = HashMap::new();
    for epoch in batches_of(&sources, LoaderOptions { augment: Augment::None, ..options(40, 2) }, Position::default(), 4) {
        let of_second = epoch.pairs.iter().filter(|(_, tokens)| *tokens == second).count();
        assert_eq!(of_second, 10, "half of its 20 samples each epoch");
        for (picture, _) in epoch.pairs.into_iter().filter(|(_, tokens)| *tokens == second) {
            *pictures.entry(picture.iter().map(|number| number.to_bits()).collect()).or_default() += 1;
        }
    }
    assert!(pictures.len() >= 18, "in four epochs nearly all have had a turn: {}", pictures.len());
}

#[test]
fn impossible_slices_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let samples = Arc::new(Samples::read(&[write_manifest(dir.path(), 4, 8).into()]).expect("read"));
    for (batch_size, rank) in [(4, (1, 1)), (4, (0, 3)), (0, (0, 1)), (4, (0, 0))] {
        let refused =
            Loader::start(samples.clone(), bytes_as_tokens(), LoaderOptions { rank, ..options(batch_size, 1) }, Position::default());
        assert!(matches!(refused.err(), Some(Error::Options { .. })), "{batch_size} {rank:?}");
    }
}
