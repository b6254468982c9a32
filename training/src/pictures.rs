//! The labelled pictures of a manifest, decoded into batches ahead of the model. Knows nothing of models or metrics.

use crate::{Error, evaluation_view, normalise_into};
use rayon::prelude::*;
use shards::{Extent, Limits, Meter, Sample, Stored, TableReader, beside, decode, read_extent};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::Tensor;

/// Archives kept open at once.
const OPEN_TARS: usize = 64;
/// The largest image member read, in bytes; stored pictures are far smaller.
const MAX_IMAGE: u64 = 1 << 28;
/// Batches decoded ahead of the model.
const AHEAD: usize = 2;
/// The split's name that stands for all rows.
pub(crate) const ALL: &str = "all";

/// Some pictures with what is known of them.
pub(crate) struct Batch {
    /// [batch, 3, side, side], 32 bits, normalised, on the CPU.
    pub images: Tensor,
    /// The samples' keys, in the order of `images`.
    pub keys: Vec<String>,
    /// The class numbers, likewise.
    pub labels: Vec<u32>,
}

/// What was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Rows of the split without a label.
    pub unlabelled: u64,
    /// Pictures that could not be decoded.
    pub damaged: u64,
}

/// Which pictures, and how they are cut into batches.
#[derive(Clone, Copy)]
pub(crate) struct Pictures<'a> {
    pub manifest: &'a Path,
    pub split: &'a str,
    /// Side of the square views in pixels.
    pub side: u32,
    pub batch_size: usize,
}

impl Pictures<'_> {
    /// Calls `consume` with every batch, in the manifest's order, while the next ones are decoded by other threads.
    /// `meter` counts rows; its total is the number of rows of the manifest.
    ///
    /// # Errors
    /// `Shards` when the manifest or an archive cannot be read; whatever `consume` returns.
    pub fn for_each(&self, meter: &Meter, mut consume: impl FnMut(Batch) -> Result<(), Error>) -> Result<LeftOut, Error> {
        let (send, receive) = crossbeam_channel::bounded(AHEAD);
        std::thread::scope(|scope| {
            let producer = scope.spawn(move || self.produce(meter, &send));
            // When `consume` fails the receiver is dropped, by which the producer's next send fails and ends it.
            let consumed = receive.into_iter().try_for_each(&mut consume);
            let produced = producer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            consumed.and(produced)
        })
    }

    fn produce(&self, meter: &Meter, send: &crossbeam_channel::Sender<Batch>) -> Result<LeftOut, Error> {
        let table = TableReader::<Sample>::open(self.manifest)?;
        meter.set_total(table.row_count());
        let folder = self.manifest.parent().unwrap_or(Path::new(""));
        let mut left_out = LeftOut::default();
        let mut tars = Tars::default();
        let mut waiting = Vec::new();
        for rows in table {
            for sample in rows? {
                meter.add(1);
                if self.split != ALL && sample.split != self.split {
                    continue;
                }
                let Some(label) = sample.label else {
                    left_out.unlabelled += 1;
                    continue;
                };
                let path = beside(folder, &sample.shard);
                waiting.push(Waiting { file: tars.get(&path)?, path, extent: sample.image(), key: sample.sample_key, label });
                if waiting.len() == self.batch_size.max(1) && !self.send(std::mem::take(&mut waiting), send, &mut left_out)? {
                    return Ok(left_out);
                }
            }
        }
        self.send(waiting, send, &mut left_out)?;
        Ok(left_out)
    }

    /// Decodes and hands over; false when nobody is listening any more.
    fn send(&self, waiting: Vec<Waiting>, send: &crossbeam_channel::Sender<Batch>, left_out: &mut LeftOut) -> Result<bool, Error> {
        let numbers = 3 * (self.side * self.side) as usize;
        let mut flat = vec![0f32; waiting.len() * numbers];
        let places = flat.par_chunks_mut(numbers).zip(&waiting);
        let usable = places.map(|(out, one)| one.decode_into(self.side, out)).collect::<Result<Vec<bool>, Error>>()?;
        let mut batch = Batch { images: Tensor::new(), keys: Vec::new(), labels: Vec::new() };
        let mut kept = 0;
        for (at, (one, usable)) in waiting.into_iter().zip(usable).enumerate() {
            if usable {
                flat.copy_within(at * numbers..(at + 1) * numbers, kept * numbers);
                kept += 1;
                batch.keys.push(one.key);
                batch.labels.push(one.label);
            } else {
                left_out.damaged += 1;
            }
        }
        if kept == 0 {
            return Ok(true);
        }
        let side = i64::from(self.side);
        batch.images = Tensor::from_slice(&flat[..kept * numbers]).view([kept as i64, 3, side, side]);
        Ok(send.send(batch).is_ok())
    }
}

/// A picture to decode.
struct Waiting {
    file: Arc<Stored>,
    path: PathBuf,
    extent: Extent,
    key: String,
    label: u32,
}

impl Waiting {
    /// Writes the normalised view to `out`; false for a picture that cannot be decoded.
    fn decode_into(&self, side: u32, out: &mut [f32]) -> Result<bool, Error> {
        if self.extent.length > MAX_IMAGE {
            return Ok(false);
        }
        let bytes = read_extent(&self.file, &self.path, self.extent)?;
        let Ok(picture) = decode(&bytes, &Limits::default()) else { return Ok(false) };
        normalise_into(&evaluation_view(&picture.pixels, side), out);
        Ok(true)
    }
}

/// Open archives by path; all are closed when there are too many, since a manifest reads one after the other.
#[derive(Default)]
struct Tars(HashMap<PathBuf, Arc<Stored>>);

impl Tars {
    fn get(&mut self, path: &Path) -> Result<Arc<Stored>, Error> {
        if let Some(file) = self.0.get(path) {
            return Ok(file.clone());
        }
        if self.0.len() == OPEN_TARS {
            self.0.clear();
        }
        let file = Arc::new(Stored::open(path)?);
        self.0.insert(path.to_path_buf(), file.clone());
        Ok(file)
    }
}
