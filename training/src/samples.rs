//! The training samples of one or more manifests, in the least memory that lets any of them be read at once.
//!
//! Per sample 32 bytes and 4 for each caption; each distinct caption text once. Knows nothing of order or pixels.

use crate::Error;
use shards::{Extent, Sample, TableReader, read_extent};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Archives kept open at once. A corpus may have tens of thousands of them, more than a process may open.
const OPEN_TARS: usize = 256;
/// The largest image member read, in bytes; stored pictures are far smaller.
const MAX_IMAGE: u64 = 1 << 28;
/// The largest weight believed: how often a sample may come in one epoch.
const MAX_WEIGHT: f32 = 1000.0;

/// One sample, by what is needed to read it.
#[derive(Clone, Copy)]
struct Record {
    /// First 8 bytes of BLAKE3(sample key): the identity that random draws depend on.
    key: u64,
    offset: u64,
    length: u32,
    tar: u32,
    /// Where its captions begin in `caption_ids`; they end where the next record's begin.
    captions: u32,
}

/// The samples of split `train`.
pub struct Samples {
    records: Vec<Record>,
    caption_ids: Vec<u32>,
    texts: Texts,
    /// Which sample each place of an epoch is, when weights are not all 1.
    places: Option<Vec<u32>>,
    tars: Vec<PathBuf>,
    open: Vec<Slot>,
    pixels: u64,
    skipped: u64,
}

/// Holds one open archive and its number.
type Slot = Mutex<Option<(u32, Arc<File>)>>;

/// Distinct texts in one buffer.
#[derive(Default)]
struct Texts {
    bytes: String,
    ends: Vec<usize>,
}

impl Texts {
    fn get(&self, id: u32) -> &str {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[start..self.ends[id]]
    }

    fn push(&mut self, text: &str) -> u32 {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
        (self.ends.len() - 1) as u32
    }
}

/// What is needed only while manifests are read.
#[derive(Default)]
struct Reading {
    tars: HashMap<PathBuf, u32>,
    texts: HashMap<[u8; 16], u32>,
    weights: Vec<f32>,
}

impl Samples {
    /// Reads the rows of split `train` that have a caption.
    ///
    /// # Errors
    /// `Shards` when a manifest cannot be read or a weight is not a number from 0 to 1,000; `NoSamples` when nothing is
    /// left; `TooMany` above 2^32 samples or captions.
    pub fn read(manifests: &[PathBuf]) -> Result<Self, Error> {
        let mut samples = Samples {
            records: Vec::new(),
            caption_ids: Vec::new(),
            texts: Texts::default(),
            places: None,
            tars: Vec::new(),
            open: (0..OPEN_TARS).map(|_| Mutex::new(None)).collect(),
            pixels: 0,
            skipped: 0,
        };
        let mut reading = Reading::default();
        for manifest in manifests {
            for batch in TableReader::<Sample>::open(manifest)? {
                for (row, sample) in batch?.into_iter().enumerate().filter(|(_, sample)| sample.split == "train") {
                    samples.add(sample, manifest, row, &mut reading)?;
                }
            }
        }
        if samples.records.is_empty() {
            let manifests = manifests.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
            return Err(Error::NoSamples { place: manifests });
        }
        samples.places = places(&reading.weights);
        if samples.places.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::NoSamples { place: "the manifests, with a weight above 0".to_string() });
        }
        Ok(samples)
    }

    fn add(&mut self, sample: Sample, manifest: &Path, row: usize, reading: &mut Reading) -> Result<(), Error> {
        if sample.captions.iter().all(|caption| caption.trim().is_empty()) {
            self.skipped += 1;
            return Ok(());
        }
        if !(0.0..=MAX_WEIGHT).contains(&sample.weight) {
            let why = format!("weight {} is not a number from 0 to {MAX_WEIGHT}", sample.weight);
            return Err(shards::Error::Value { path: manifest.to_path_buf(), row, why }.into());
        }
        if self.records.len() >= u32::MAX as usize || self.caption_ids.len() + sample.captions.len() >= u32::MAX as usize {
            return Err(Error::TooMany { what: "samples or captions", limit: u64::from(u32::MAX) });
        }
        let tar = manifest.parent().unwrap_or(Path::new("")).join(&sample.shard);
        let next = self.tars.len() as u32;
        let tar = *reading.tars.entry(tar).or_insert_with_key(|tar| {
            self.tars.push(tar.clone());
            next
        });
        let record = Record {
            key: first_bytes(blake3::hash(sample.sample_key.as_bytes())),
            offset: sample.image_offset,
            // A longer member than is read at all stays longer than that.
            length: u32::try_from(sample.image_length).unwrap_or(u32::MAX),
            tar,
            captions: self.caption_ids.len() as u32,
        };
        self.records.push(record);
        for caption in sample.captions.iter().filter(|caption| !caption.trim().is_empty()) {
            let mut name = [0; 16];
            name.copy_from_slice(&blake3::hash(caption.as_bytes()).as_bytes()[..16]);
            let id = *reading.texts.entry(name).or_insert_with(|| self.texts.push(caption));
            self.caption_ids.push(id);
        }
        self.pixels = self.pixels.saturating_add(u64::from(sample.width) * u64::from(sample.height));
        reading.weights.push(sample.weight);
        Ok(())
    }

    /// Number of samples.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    /// Places in one epoch: the samples, each as often as its weight says.
    pub fn epoch_length(&self) -> u64 {
        self.places.as_ref().map_or(self.records.len(), Vec::len) as u64
    }

    /// The sample at `place` of an epoch, and which of its repetitions this is.
    pub(crate) fn place(&self, place: u64) -> (u32, u64) {
        match &self.places {
            None => (place as u32, 0),
            Some(places) => {
                let (place, sample) = (place as usize, places[place as usize]);
                (sample, places[..place].iter().rev().take_while(|&&other| other == sample).count() as u64)
            }
        }
    }

    /// Pixels of all stored pictures together, as the manifests state them.
    pub fn pixels(&self) -> u64 {
        self.pixels
    }

    /// Samples left out because they have no caption.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The identity of a sample, for draws.
    pub(crate) fn key(&self, sample: u32) -> u64 {
        self.records[sample as usize].key
    }

    /// The numbers of a sample's captions, never empty.
    pub(crate) fn captions(&self, sample: u32) -> &[u32] {
        let sample = sample as usize;
        let end = self.records.get(sample + 1).map_or(self.caption_ids.len(), |next| next.captions as usize);
        &self.caption_ids[self.records[sample].captions as usize..end]
    }

    /// A caption's text. Captions of one number are equal, others differ.
    pub(crate) fn caption(&self, id: u32) -> &str {
        self.texts.get(id)
    }

    /// Where a sample's picture lies, for messages.
    pub(crate) fn location(&self, sample: u32) -> String {
        let record = &self.records[sample as usize];
        format!("{} at byte {}", self.tars[record.tar as usize].display(), record.offset)
    }

    /// The bytes of a sample's picture.
    ///
    /// # Errors
    /// `Shards` when the archive cannot be read there.
    pub(crate) fn image(&self, sample: u32) -> Result<Vec<u8>, Error> {
        let record = &self.records[sample as usize];
        let path = &self.tars[record.tar as usize];
        let extent = Extent { offset: record.offset, length: u64::from(record.length) };
        if extent.length > MAX_IMAGE {
            let why = format!("an image member is longer than {MAX_IMAGE} bytes");
            return Err(shards::Error::Tar { path: path.clone(), offset: extent.offset, why }.into());
        }
        Ok(read_extent(&*self.file(record.tar)?, path, extent)?)
    }

    /// An open archive. Each has one slot of the table, which it shares with few others.
    fn file(&self, tar: u32) -> Result<Arc<File>, Error> {
        // A poisoned slot holds a whole value still: it is replaced in one assignment.
        let mut slot = self.open[tar as usize % OPEN_TARS].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, file)) = slot.as_ref().filter(|(held, _)| *held == tar) {
            return Ok(file.clone());
        }
        let path = &self.tars[tar as usize];
        let file = Arc::new(File::open(path).map_err(shards::Error::io("open", path))?);
        *slot = Some((tar, file.clone()));
        Ok(file)
    }
}

fn first_bytes(hash: blake3::Hash) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

/// The samples of an epoch's places when some weight is not 1: a sample of weight w comes floor(w) times, and once more
/// for a share w - floor(w) of the samples, spread evenly by carrying the remainder on (so that the sum is right).
fn places(weights: &[f32]) -> Option<Vec<u32>> {
    if weights.iter().all(|&weight| weight == 1.0) {
        return None;
    }
    let mut places = Vec::new();
    let mut owed = 0.0;
    for (sample, &weight) in weights.iter().enumerate() {
        owed += f64::from(weight);
        let copies = (owed + 0.5).floor();
        owed -= copies;
        places.extend(std::iter::repeat_n(sample as u32, copies as usize));
    }
    Some(places)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fixture::write_manifest;

    #[test]
    fn captions_and_pictures_come_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let manifest = write_manifest(dir.path(), 20, 16);
        let samples = Samples::read(&[manifest]).expect("read");
        assert_eq!((samples.count(), samples.epoch_length(), samples.skipped()), (20, 20, 0));
        assert_eq!(samples.pixels(), 20 * 16 * 16);
        let texts: Vec<&str> = samples.captions(3).iter().map(|&id| samples.caption(id)).collect();
        assert_eq!(texts, ["a picture of kind 3", "kind 3, number 3"]);
        assert_eq!(samples.captions(3)[0], samples.captions(7)[0], "equal captions have one number");
        let bytes = samples.image(19).expect("read");
        assert!(shards::decode(&bytes, &shards::Limits::default()).is_ok());
        assert!(samples.location(19).contains("00000.tar at byte "));
    }

    #[test]
    fn weights_repeat_samples() {
        assert_eq!(places(&[1.0; 5]), None);
        assert_eq!(places(&[2.0, 0.0, 1.0]), Some(vec![0, 0, 2]));
        assert_eq!(places(&[0.25; 1000]).map(|places| places.len()), Some(250));
        assert_eq!(places(&[0.0, 0.0]), Some(vec![]));
    }

    #[test]
    fn other_splits_and_absurd_weights() {
        let dir = tempfile::tempdir().expect("a folder");
        let manifest = write_manifest(dir.path(), 4, 8);
        let mut rows = TableReader::<Sample>::read_all(&manifest).expect("read");
        rows[1].split = "val".to_string();
        rows[2].captions = vec![" ".to_string()];
        shards::TableWriter::write_all(&manifest, &[], rows.clone()).expect("written");
        let samples = Samples::read(std::slice::from_ref(&manifest)).expect("read");
        assert_eq!((samples.count(), samples.skipped()), (2, 1));
        rows[3].weight = f32::NAN;
        shards::TableWriter::write_all(&manifest, &[], rows.clone()).expect("written");
        let error = Samples::read(std::slice::from_ref(&manifest)).map(|_| ()).expect_err("refused");
        assert!(error.to_string().contains("weight NaN"), "{error}");
        rows.iter_mut().for_each(|row| row.split = "test".to_string());
        shards::TableWriter::write_all(&manifest, &[], rows).expect("written");
        assert!(matches!(Samples::read(&[manifest]), Err(Error::NoSamples { .. })));
    }
}
