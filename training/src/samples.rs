//! The training samples of one or more manifests: 16 bytes each in memory, in blocks that are read at once.
//!
//! Samples are sorted by where they lie; a block is a run of them in one archive, about 4 MB. Pictures, keys and captions
//! stay in the archives ([`crate::member`]). Knows nothing of order or pixels.

use crate::captions::{Captions, captions_sum};
use crate::draws::Draws;
use crate::tars::Tars;
use crate::{Error, Source};
use half::f16;
use shards::{Extent, Sample, TableReader};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The unit of archives.
pub(crate) const UNIT: u64 = 512;
/// Bytes of a block: what a disk or an object store reads at about its full speed, as one request.
const BLOCK_BYTES: u64 = 4 << 20;
/// The largest image member read, in bytes; stored pictures are far smaller.
const MAX_IMAGE: u64 = 1 << 26;
/// The largest weight believed: how often a sample may come in one epoch.
pub(crate) const MAX_WEIGHT: f64 = 1000.0;
/// Weights are summed in parts of this, exactly.
const ONE: u64 = 1 << 16;
/// 2^64 divided by the golden ratio: its multiples fill the circle evenly, however many are taken.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// One sample, by what is needed to read it.
#[derive(Clone, Copy)]
pub(crate) struct Record {
    /// Where the picture's data begins in its archive, in units of 512 bytes.
    at: u32,
    /// Bytes of the picture.
    length: u32,
    /// The sum of its captions, or the number of its list.
    captions: u32,
    weight: f16,
    /// Units after the picture that its captions lie in.
    tail: u8,
    place: Place,
}

/// Where a sample's captions are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the text member after the picture.
    Text,
    /// In field `captions` of the JSON member after it.
    Json,
    /// In memory.
    Kept,
}

/// Where to find a sample's captions, and how to know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CaptionsAt {
    /// In a text member, with this sum.
    Text(u32),
    /// In a JSON member, with this sum.
    Json(u32),
    /// In memory, with this number.
    Kept(u32),
}

impl Record {
    /// What must be read of the archive: from the picture's header to the end of its captions.
    pub fn span(&self) -> Extent {
        let length = UNIT + u64::from(self.length).next_multiple_of(UNIT) + u64::from(self.tail) * UNIT;
        Extent { offset: u64::from(self.at) * UNIT - UNIT, length }
    }

    /// Bytes of the picture.
    pub fn length(&self) -> usize {
        self.length as usize
    }

    /// Where its captions are.
    pub fn captions(&self) -> CaptionsAt {
        match self.place {
            Place::Text => CaptionsAt::Text(self.captions),
            Place::Json => CaptionsAt::Json(self.captions),
            Place::Kept => CaptionsAt::Kept(self.captions),
        }
    }

    /// How often it comes in every epoch, and what its weight has beyond that.
    fn weight(&self) -> (u64, u64) {
        let (whole, part) = (self.weight.to_f64().trunc(), self.weight.to_f64().fract());
        (whole as u64, (part * ONE as f64).round() as u64)
    }
}

/// A run of samples in one archive.
#[derive(Clone, Copy)]
struct Block {
    tar: u32,
    /// Its first sample; it ends where the next block begins.
    first: u32,
    /// Sum of the samples' spans.
    bytes: u32,
}

/// The samples of split `train`.
pub struct Samples {
    records: Vec<Record>,
    blocks: Vec<Block>,
    captions: Captions,
    tars: Tars,
    /// When weights are not all 1.
    weights: Option<Weights>,
    pixels: u64,
    skipped: u64,
}

/// Sums of weights.
struct Weights {
    /// Sum of the whole parts.
    whole: u64,
    /// Sum of the broken parts before each block.
    before: Vec<u64>,
    /// Sum of all broken parts.
    broken: u64,
}

impl Weights {
    /// Places that the broken parts have in each epoch.
    fn turns(&self) -> u64 {
        self.broken / ONE
    }
}

/// What is needed only while manifests are read.
#[derive(Default)]
struct Reading {
    paths: Vec<PathBuf>,
    numbers: HashMap<PathBuf, u32>,
    records: Vec<(u32, Record)>,
    captions: Captions,
    pixels: u64,
    skipped: u64,
}

impl Samples {
    /// Reads the rows of split `train` that have a caption and a weight above 0.
    ///
    /// # Errors
    /// `Shards` when a manifest cannot be read or a row makes no sense; `NoSamples` when nothing is left, or less than one
    /// sample an epoch; `TooMany` above 2^32 samples.
    pub fn read(sources: &[Source]) -> Result<Self, Error> {
        let mut reading = Reading::default();
        for source in sources {
            // Whether the JSON members of this manifest's archives hold all captions; known when the first is looked at.
            let mut json = None;
            for batch in TableReader::<Sample>::open(&source.manifest)? {
                for (row, sample) in batch?.into_iter().enumerate().filter(|(_, sample)| sample.split == "train") {
                    reading.add(sample, source, row, &mut json)?;
                }
            }
        }
        let samples = reading.close();
        let nothing = match samples.epoch_length() {
            0 if samples.records.is_empty() => "",
            0 => " (the weights sum up to less than one sample an epoch)",
            _ => return Ok(samples),
        };
        let names = sources.iter().map(|source| source.manifest.display().to_string()).collect::<Vec<_>>().join(", ");
        Err(Error::NoSamples { place: names + nothing })
    }

    /// Number of samples.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    /// Samples in one epoch, each counted as often as its weight says.
    pub fn epoch_length(&self) -> u64 {
        self.weights.as_ref().map_or(self.records.len() as u64, |weights| weights.whole + weights.turns())
    }

    /// Pixels of all stored pictures together, as the manifests state them.
    pub fn pixels(&self) -> u64 {
        self.pixels
    }

    /// Samples left out because they have no caption, or weight 0.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Bytes that are held for each sample, and for all blocks together; captions that no archive has come on top.
    pub fn memory(&self) -> (usize, usize) {
        (size_of::<Record>(), self.blocks.len() * (size_of::<Block>() + size_of::<u64>()))
    }

    pub(crate) fn record(&self, sample: u32) -> &Record {
        &self.records[sample as usize]
    }

    /// The captions of list `list`.
    pub(crate) fn kept_captions(&self, list: u32) -> impl Iterator<Item = &str> {
        self.captions.get(list)
    }

    /// The samples of a block.
    pub(crate) fn block(&self, block: u32) -> Range<u32> {
        let next = self.blocks.get(block as usize + 1).map_or(self.records.len() as u32, |next| next.first);
        self.blocks[block as usize].first..next
    }

    /// Bytes of a block.
    pub(crate) fn block_bytes(&self, block: u32) -> u64 {
        u64::from(self.blocks[block as usize].bytes)
    }

    /// Whether samples come more or less often than once an epoch.
    pub(crate) fn weighted(&self) -> bool {
        self.weights.is_some()
    }

    /// How often each sample of a block comes in an epoch.
    ///
    /// A sample of weight w comes floor(w) times in every epoch, and its broken part gives it a turn in some: broken parts are
    /// laid end to end under marks of equal distance, at least 1 apart, and a sample under a mark has a turn. From epoch to epoch
    /// the marks move, so that each gets its share. All epochs are of one length.
    pub(crate) fn copies(&self, block: u32, seed: u64, epoch: u64) -> impl Iterator<Item = (u32, u64)> {
        let weights = self.weights.as_ref();
        let (start, turns, broken) =
            weights.map_or((0, 0, 1), |weights| (weights.before[block as usize], weights.turns(), weights.broken.max(1)));
        let turn = Draws::new("weights", seed, &[]).bits().wrapping_add(epoch.wrapping_mul(GOLDEN));
        let phase = (u128::from(turn) * u128::from(broken)) >> 64;
        let marks = move |sum: u64| ((u128::from(sum) * u128::from(turns) + phase) / u128::from(broken)) as u64;
        let mut sum = start;
        let mut before = marks(start);
        self.block(block).map(move |sample| {
            let (whole, part) = self.record(sample).weight();
            sum += part;
            let passed = if part == 0 { 0 } else { marks(sum) - std::mem::replace(&mut before, marks(sum)) };
            (sample, whole + passed)
        })
    }

    /// Where a sample's picture lies, for messages.
    pub(crate) fn location(&self, sample: u32) -> String {
        format!("{} at byte {}", self.tars.path(self.tar(sample)).display(), self.record(sample).span().offset + UNIT)
    }

    /// Reads a part of the archive that a sample lies in.
    ///
    /// # Errors
    /// In words: when the archive cannot be read there, or a picture is absurdly long.
    pub(crate) fn read_near(&self, sample: u32, extent: Extent) -> Result<Vec<u8>, String> {
        if self.record(sample).length() as u64 > MAX_IMAGE {
            return Err(format!("an image member is longer than {MAX_IMAGE} bytes"));
        }
        self.tars.read(self.tar(sample), extent).map_err(|error| chain(&error))
    }

    fn tar(&self, sample: u32) -> u32 {
        let block = self.blocks.partition_point(|block| block.first <= sample) - 1;
        self.blocks[block].tar
    }
}

impl Reading {
    fn add(&mut self, sample: Sample, source: &Source, row: usize, json: &mut Option<bool>) -> Result<(), Error> {
        let nonsense = |why: String| shards::Error::Value { path: source.manifest.clone(), row, why };
        let weight = f64::from(sample.weight) * source.weight;
        // NaN lies in no range.
        if !(0.0..=MAX_WEIGHT).contains(&weight) {
            return Err(nonsense(format!("weight {weight} is not a number from 0 to {MAX_WEIGHT}")).into());
        }
        let weight = f16::from_f64(weight);
        if weight == f16::ZERO || sample.captions.iter().all(|caption| caption.trim().is_empty()) {
            self.skipped += 1;
            return Ok(());
        }
        let at = Some(sample.image_offset / UNIT).filter(|&at| at > 0 && sample.image_offset.is_multiple_of(UNIT));
        let Some(at) = at.and_then(|at| u32::try_from(at).ok()) else {
            return Err(nonsense(format!("no member of an archive can begin at byte {}", sample.image_offset)).into());
        };
        if self.records.len() >= u32::MAX as usize {
            return Err(Error::TooMany { what: "samples", limit: u64::from(u32::MAX) });
        }
        let path = shards::beside(source.manifest.parent().unwrap_or(Path::new("")), &sample.shard);
        let (place, captions, tail) = self.captions(&sample, &path, json)?;
        let next = self.paths.len() as u32;
        let tar = *self.numbers.entry(path).or_insert_with_key(|path| {
            self.paths.push(path.clone());
            next
        });
        // A longer member than is read at all stays longer than that.
        let length = u32::try_from(sample.image_length).unwrap_or(u32::MAX);
        self.records.push((tar, Record { at, length, captions, weight, tail, place }));
        self.pixels = self.pixels.saturating_add(u64::from(sample.width) * u64::from(sample.height));
        Ok(())
    }

    /// Where this sample's captions will be read: place, sum or number, tail.
    fn captions(&mut self, sample: &Sample, tar: &Path, json: &mut Option<bool>) -> Result<(Place, u32, u8), Error> {
        let sum = || captions_sum(sample.captions.iter().map(String::as_str));
        // Units from the picture's end to the member's, if that is near.
        let tail = |member: Extent| {
            let end = (sample.image_offset.checked_add(sample.image_length)?).checked_next_multiple_of(UNIT)?;
            let units = member.offset.checked_add(member.length)?.checked_sub(end)?.div_ceil(UNIT);
            u8::try_from(units).ok().filter(|&units| units > 0 && member.offset >= end)
        };
        if let ([caption], Some(tail)) = (&sample.captions[..], tail(sample.text()))
            && caption.len() as u64 == sample.text_length
        {
            return Ok((Place::Text, sum(), tail));
        }
        if let Some(tail) = tail(sample.json())
            && *json.get_or_insert_with(|| json_has_captions(sample, tar))
        {
            return Ok((Place::Json, sum(), tail));
        }
        let captions: Vec<String> = sample.captions.iter().filter(|caption| !caption.trim().is_empty()).cloned().collect();
        let list = self.captions.add(&captions).ok_or(Error::TooMany { what: "captions", limit: u64::from(u32::MAX) })?;
        Ok((Place::Kept, list, 0))
    }

    fn close(mut self) -> Samples {
        // Records that tie are equal in all that matters but weight and captions, by which they are told apart.
        self.records.sort_unstable_by_key(|(tar, record)| (*tar, record.at, record.captions, record.weight.to_bits()));
        let mut blocks: Vec<Block> = Vec::new();
        for (i, (tar, record)) in self.records.iter().enumerate() {
            let bytes = record.span().length.min(MAX_IMAGE) as u32;
            match blocks.last_mut() {
                Some(block) if block.tar == *tar && u64::from(block.bytes) < BLOCK_BYTES => block.bytes += bytes,
                _ => blocks.push(Block { tar: *tar, first: i as u32, bytes }),
            }
        }
        let records: Vec<Record> = self.records.into_iter().map(|(_, record)| record).collect();
        self.captions.close();
        let weights = records.iter().any(|record| record.weight != f16::ONE).then(|| {
            let mut weights = Weights { whole: 0, before: Vec::with_capacity(blocks.len()), broken: 0 };
            let mut starts = blocks.iter().map(|block| block.first).peekable();
            for (i, record) in records.iter().enumerate() {
                if starts.next_if_eq(&(i as u32)).is_some() {
                    weights.before.push(weights.broken);
                }
                let (whole, part) = record.weight();
                weights.whole += whole;
                weights.broken += part;
            }
            weights
        });
        Samples {
            records,
            blocks,
            captions: self.captions,
            tars: Tars::new(self.paths),
            weights,
            pixels: self.pixels,
            skipped: self.skipped,
        }
    }
}

/// Whether the JSON member of `sample` holds the captions that the manifest has.
fn json_has_captions(sample: &Sample, tar: &Path) -> bool {
    let Ok(file) = std::fs::File::open(tar) else { return false };
    let Ok(bytes) = shards::read_extent(&file, tar, sample.json()) else { return false };
    crate::member::json_captions(&bytes).is_some_and(|captions| captions == sample.captions)
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fixture::write_manifest;
    use proptest::prelude::*;

    /// Samples that lie nowhere: blocks of so many samples each, of these weights in turn, each of `bytes` bytes.
    pub(crate) fn nowhere(blocks: &[u32], weights: &[f64], bytes: u32) -> Samples {
        let mut reading = Reading::default();
        for (tar, &count) in blocks.iter().enumerate() {
            reading.paths.push(PathBuf::from(format!("/nowhere/{tar}.tar")));
            for i in 0..count {
                let weight = f16::from_f64(weights[reading.records.len() % weights.len()]);
                let record = Record { at: 1 + i * 1000, length: bytes, captions: i, weight, tail: 0, place: Place::Text };
                reading.records.push((tar as u32, record));
            }
        }
        reading.close()
    }

    #[test]
    fn a_sample_takes_sixteen_bytes() {
        assert_eq!(size_of::<Record>(), 16);
    }

    #[test]
    fn samples_lie_in_blocks() {
        let dir = tempfile::tempdir().expect("a folder");
        let samples = Samples::read(&[write_manifest(dir.path(), 20, 16).into()]).expect("read");
        assert_eq!((samples.count(), samples.epoch_length(), samples.skipped(), samples.blocks()), (20, 20, 0, 1));
        assert_eq!(samples.pixels(), 20 * 16 * 16);
        assert!(samples.location(19).contains("00000.tar at byte "));
        let span = samples.record(19).span();
        assert_eq!(samples.read_near(19, span).expect("read").len() as u64, span.length);
        let many = nowhere(&[500, 3, 90], &[1.0], 100_000);
        let sizes: Vec<usize> = (0..many.blocks() as u32).map(|block| many.block(block).len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 593);
        // 4 MiB are 42 pictures of 100,000 bytes.
        assert!(sizes[..11].iter().all(|&size| size == 42) && sizes[12] == 3, "{sizes:?}");
        assert!((0..593).all(|sample| {
            many.location(sample)
                .contains(["/0.tar", "/1.tar", "/2.tar"][(sample as usize >= 500) as usize + (sample as usize >= 503) as usize])
        }));
    }

    proptest! {
        #[test]
        fn weights_are_kept_over_epochs(
            counts in prop::collection::vec(1u32..60, 1..5),
            weights in prop::collection::vec(prop_oneof![Just(1.0), Just(0.25), Just(2.5), 0.01f64..4.0], 1..6),
            seed: u64,
        ) {
            let samples = nowhere(&counts, &weights, 1000);
            let length = samples.epoch_length();
            let part = |sample: usize| f16::from_f64(weights[sample % weights.len()]).to_f64().fract();
            let broken: f64 = (0..samples.count()).map(part).sum();
            let share = if broken < 1.0 { 0.0 } else { broken.floor() / broken };
            let epochs = 40;
            let mut copies = vec![0u64; samples.count()];
            for epoch in 0..epochs {
                let mut places = 0;
                for (sample, count) in (0..samples.blocks() as u32).flat_map(|block| samples.copies(block, seed, epoch)) {
                    let weight = f16::from_f64(weights[sample as usize % weights.len()]).to_f64();
                    prop_assert!(count as f64 > weight - 1.0 && (count as f64) < weight + 1.0, "{} copies of weight {}", count, weight);
                    copies[sample as usize] += count;
                    places += count;
                }
                prop_assert_eq!(places, length, "all epochs are of one length");
            }
            for (sample, &count) in copies.iter().enumerate() {
                let weight = f16::from_f64(weights[sample % weights.len()]).to_f64().trunc() + part(sample) * share;
                prop_assert!((count as f64 / epochs as f64 - weight).abs() < 0.15, "{} in {} epochs, expected {}", count, epochs, weight);
            }
        }
    }

    #[test]
    fn other_splits_and_absurd_rows() {
        let dir = tempfile::tempdir().expect("a folder");
        let manifest = write_manifest(dir.path(), 5, 8);
        let mut rows = TableReader::<Sample>::read_all(&manifest).expect("read");
        let read = |rows: &[Sample], weight: f64| {
            shards::TableWriter::write_all(&manifest, &[], rows.to_vec()).expect("written");
            Samples::read(&[Source { manifest: manifest.clone(), weight }]).map_err(|error| error.to_string())
        };
        rows[1].split = "val".to_string();
        rows[2].captions = vec![" ".to_string()];
        rows[4].weight = 0.0;
        let samples = read(&rows, 1.0).expect("read");
        assert_eq!((samples.count(), samples.skipped(), samples.epoch_length(), samples.weighted()), (2, 2, 2, false));
        let halves = read(&rows, 0.5).expect("read");
        assert_eq!((halves.count(), halves.epoch_length(), halves.weighted()), (2, 1, true));
        assert!(read(&rows, 0.25).map(drop).expect_err("refused").contains("less than one sample an epoch"));
        assert!(read(&rows, 1e6).map(drop).expect_err("refused").contains("weight 1000000"));
        rows[3].weight = f32::NAN;
        assert!(read(&rows, 1.0).map(drop).expect_err("refused").contains("weight NaN"));
        rows[3].weight = 1.0;
        rows[3].image_offset += 1;
        assert!(read(&rows, 1.0).map(drop).expect_err("refused").contains("no member of an archive can begin at byte"));
        rows.iter_mut().for_each(|row| row.split = "test".to_string());
        assert!(read(&rows, 1.0).is_err());
    }

    #[test]
    fn captions_are_read_from_the_archive_where_it_has_them() {
        let dir = tempfile::tempdir().expect("a folder");
        let manifest = write_manifest(dir.path(), 4, 8);
        // As `shard` writes them: text and JSON members with all that the manifest says.
        let options = shards::ShuffleOptions::new(manifest, dir.path().join("shards"));
        shards::shuffle(&options, &shards::Meter::default()).expect("packed");
        let packed = dir.path().join("shards/manifest.parquet");
        let places = |manifest: &Path| {
            let samples = Samples::read(&[manifest.to_path_buf().into()]).expect("read");
            samples.records.iter().map(|record| record.captions()).collect::<Vec<_>>()
        };
        assert!(places(&packed).iter().all(|place| matches!(place, CaptionsAt::Json(_))));
        let mut rows = TableReader::<Sample>::read_all(&packed).expect("read");
        rows.iter_mut().for_each(|row| row.captions.truncate(1));
        let single = dir.path().join("shards/single.parquet");
        shards::TableWriter::write_all(&single, &[], rows.clone()).expect("written");
        assert!(places(&single).iter().all(|place| matches!(place, CaptionsAt::Text(_))));
        rows.iter_mut().for_each(|row| row.captions.push("borrowed from a duplicate".to_string()));
        shards::TableWriter::write_all(&single, &[], rows).expect("written");
        assert!(places(&single).iter().all(|place| matches!(place, CaptionsAt::Kept(_))));
    }
}
