//! Batches for training: read, decoded, varied and tokenised by native threads while the model computes.
//!
//! What a batch holds depends on (seed, position) only, never on the number of threads or their timing, so a training
//! resumed at any position sees the same batches as one that was never stopped. Knows nothing of models.

use crate::Error;
use crate::augment::Augment;
use crate::draws::Draws;
use crate::order::Order;
use crate::samples::Samples;
use crossbeam_channel::{Receiver, bounded};
use image::RgbImage;
use rayon::prelude::*;
use shards::Limits;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// Finished batches that wait for the model, beside the one being made: enough to even out slow samples.
const WAITING: usize = 2;
/// Decoded pictures are kept when all of them take at most this many bytes: CIFAR's 50,000 take 150 MB.
const KEEP_BYTES: u64 = 1 << 30;
/// Samples tried in place of a damaged one before the corpus is called unreadable.
const REPLACEMENTS: u64 = 20;
/// Texts are padded to a multiple of this many tokens, so that few shapes occur.
const TEXT_STEP: usize = 8;

/// Turns a caption into at most so many token ids, start and end included, without padding.
pub(crate) type Tokenize = Arc<dyn Fn(&str, usize) -> Vec<u32> + Send + Sync>;

/// A place in the endless stream of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Full passes over the corpus so far.
    pub epoch: u64,
    /// Samples of this epoch so far.
    pub index: u64,
}

impl Position {
    /// The place `count` samples further in a corpus of `length` samples an epoch.
    pub fn after(self, count: u64, length: u64) -> Self {
        let index = self.index + count;
        Position { epoch: self.epoch + index / length.max(1), index: index % length.max(1) }
    }
}

/// How batches are made.
#[derive(Clone, Debug)]
pub struct LoaderOptions {
    /// Seed of the order, the views and the choice of captions.
    pub seed: u64,
    /// Samples in a batch, the same for every batch.
    pub batch_size: usize,
    /// Side of the pictures in pixels.
    pub image_size: u32,
    /// How pictures are varied.
    pub augment: Augment,
    /// Most tokens of a caption.
    pub context_length: usize,
    /// Threads that decode.
    pub workers: usize,
}

/// A sample that could not be used and was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The archive and the offset.
    pub location: String,
    /// What is wrong with it.
    pub why: String,
}

/// A batch, as plain memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The position after this batch.
    pub next: Position,
    /// Pictures, `[batch, side, side, 3]`, 8-bit RGB.
    pub pixels: Vec<u8>,
    /// Token ids of the distinct captions, `[texts, text_length]`, padded with 0; in order of first use.
    pub tokens: Vec<i64>,
    /// Tokens in a row of `tokens`: those of the batch's longest caption, rounded up.
    pub text_length: usize,
    /// The row of `tokens` that each picture belongs to, `[batch]`.
    pub caption_of: Vec<i64>,
    /// Samples that had to be replaced.
    pub damaged: Vec<Damaged>,
}

/// Makes batches from a position on, without end.
pub struct Loader {
    batches: Option<Receiver<Result<Batch, Error>>>,
    maker: Option<JoinHandle<()>>,
}

impl Loader {
    /// Starts threads that make batches from `from` on.
    ///
    /// # Errors
    /// `Options` for a batch size or picture size of 0, or when the threads cannot be started.
    pub fn start(samples: Arc<Samples>, tokenize: Tokenize, options: LoaderOptions, from: Position) -> Result<Self, Error> {
        if options.batch_size == 0 || options.image_size == 0 {
            return Err(Error::Options { why: "batch size and image size must be at least 1".to_string() });
        }
        let cannot = |why: String| Error::Options { why: format!("cannot start {} loader threads: {why}", options.workers) };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(options.workers.max(1))
            .thread_name(|i| format!("loader-{i}"))
            .build()
            .map_err(|error| cannot(error.to_string()))?;
        let (sender, batches) = bounded(WAITING);
        let maker = Maker::new(samples, tokenize, options.clone());
        let work = move || {
            let mut at = from.after(0, maker.samples.epoch_length());
            // Ends when the loader is dropped, or after an error.
            loop {
                let batch = pool.install(|| maker.batch(at));
                let next = batch.as_ref().ok().map(|batch| batch.next);
                match (sender.send(batch), next) {
                    (Ok(()), Some(next)) => at = next,
                    _ => return,
                }
            }
        };
        let maker = std::thread::Builder::new().name("batches".to_string()).spawn(work).map_err(|error| cannot(error.to_string()))?;
        Ok(Loader { batches: Some(batches), maker: Some(maker) })
    }

    /// The next batch; waits for it.
    ///
    /// # Errors
    /// `Unreadable` when a damaged sample's replacements are damaged too; nothing more comes after an error.
    pub fn next_batch(&mut self) -> Result<Batch, Error> {
        let gone = || Error::Options { why: "the loader has stopped after an error".to_string() };
        self.batches.as_ref().and_then(|batches| batches.recv().ok()).ok_or_else(gone)?
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Without a receiver the maker's next send fails and its thread ends.
        self.batches = None;
        if let Some(maker) = self.maker.take() {
            let _ = maker.join();
        }
    }
}

/// Makes any batch on demand; shared by the threads.
struct Maker {
    samples: Arc<Samples>,
    tokenize: Tokenize,
    options: LoaderOptions,
    /// Decoded pictures by sample, when the corpus is small.
    kept: Vec<OnceLock<RgbImage>>,
    /// Bytes that may still be kept: the sizes in a manifest are only a claim.
    room: AtomicU64,
}

impl Maker {
    fn new(samples: Arc<Samples>, tokenize: Tokenize, options: LoaderOptions) -> Self {
        let keep = samples.pixels().saturating_mul(3) <= KEEP_BYTES;
        let kept = (0..if keep { samples.count() } else { 0 }).map(|_| OnceLock::new()).collect();
        Maker { samples, tokenize, options, kept, room: AtomicU64::new(KEEP_BYTES) }
    }

    /// The batch that begins at `at`; runs on the threads of the current pool.
    fn batch(&self, at: Position) -> Result<Batch, Error> {
        let (count, side) = (self.options.batch_size, self.options.image_size as usize);
        let length = self.samples.epoch_length();
        let last = at.after(count as u64 - 1, length);
        let orders: Vec<Order> = (at.epoch..=last.epoch).map(|epoch| Order::new(self.options.seed, epoch, length)).collect();
        let mut pixels = vec![0; count * side * side * 3];
        let made: Vec<(u32, Vec<Damaged>)> = pixels
            .par_chunks_mut(side * side * 3)
            .enumerate()
            .map(|(i, out)| {
                let position = at.after(i as u64, length);
                self.sample(position, &orders[(position.epoch - at.epoch) as usize], out)
            })
            .collect::<Result<_, _>>()?;
        let (captions, damaged): (Vec<u32>, Vec<Vec<Damaged>>) = made.into_iter().unzip();
        let (tokens, text_length, caption_of) = self.texts(&captions);
        let damaged = damaged.into_iter().flatten().collect();
        Ok(Batch { next: at.after(count as u64, length), pixels, tokens, text_length, caption_of, damaged })
    }

    /// Writes a view of the sample at `position` into `out` and chooses one of its captions. A damaged sample's place is
    /// taken by another one, chosen by the position.
    fn sample(&self, position: Position, order: &Order, out: &mut [u8]) -> Result<(u32, Vec<Damaged>), Error> {
        let Position { epoch, index } = position;
        let mut damaged = Vec::new();
        let mut spares = Draws::new("spare", self.options.seed, &[epoch, index]);
        let mut place = order.at(index);
        for _ in 0..=REPLACEMENTS {
            let (sample, copy) = self.samples.place(place);
            let identity = [epoch, self.samples.key(sample), copy];
            match self.view(sample, &mut Draws::new("view", self.options.seed, &identity), out) {
                Ok(()) => {
                    let captions = self.samples.captions(sample);
                    let chosen = Draws::new("caption", self.options.seed, &identity).below(captions.len() as u64);
                    return Ok((captions[chosen as usize], damaged));
                }
                Err(why) => damaged.push(Damaged { location: self.samples.location(sample), why }),
            }
            place = spares.below(self.samples.epoch_length());
        }
        let first = damaged.swap_remove(0);
        Err(Error::Unreadable { location: first.location, why: first.why, tried: REPLACEMENTS })
    }

    fn view(&self, sample: u32, draws: &mut Draws, out: &mut [u8]) -> Result<(), String> {
        let (augment, side) = (self.options.augment, self.options.image_size);
        if let Some(pixels) = self.kept.get(sample as usize).and_then(OnceLock::get) {
            augment.view(pixels, side, draws, out);
            return Ok(());
        }
        let bytes = self.samples.image(sample).map_err(|error| chain(&error))?;
        let pixels = shards::decode(&bytes, &Limits::default()).map_err(|error| chain(&error))?.pixels;
        augment.view(&pixels, side, draws, out);
        if let Some(slot) = self.kept.get(sample as usize) {
            let size = pixels.as_raw().len() as u64;
            if self.room.try_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(size)).is_ok() {
                let _ = slot.set(pixels);
            }
        }
        Ok(())
    }

    /// The distinct captions as padded rows of tokens, their length, and the row of each.
    fn texts(&self, captions: &[u32]) -> (Vec<i64>, usize, Vec<i64>) {
        let mut rows = HashMap::new();
        let mut distinct = Vec::new();
        let caption_of = captions
            .iter()
            .map(|&caption| {
                *rows.entry(caption).or_insert_with(|| {
                    distinct.push(caption);
                    distinct.len() as i64 - 1
                })
            })
            .collect();
        let most = self.options.context_length;
        let texts: Vec<Vec<u32>> = distinct.par_iter().map(|&caption| (self.tokenize)(self.samples.caption(caption), most)).collect();
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        let length = longest.next_multiple_of(TEXT_STEP).min(most).max(longest);
        let mut tokens = vec![0; texts.len() * length];
        for (row, text) in tokens.chunks_exact_mut(length.max(1)).zip(&texts) {
            row.iter_mut().zip(text).for_each(|(to, &id)| *to = i64::from(id));
        }
        (tokens, length, caption_of)
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::write_manifest;
    use std::path::Path;

    fn bytes_as_tokens() -> Tokenize {
        Arc::new(|text, most| text.bytes().map(u32::from).take(most).collect())
    }

    fn options(batch_size: usize, workers: usize) -> LoaderOptions {
        LoaderOptions { seed: 3, batch_size, image_size: 16, augment: Augment::Crop, context_length: 22, workers }
    }

    fn batches(folder: &Path, options: LoaderOptions, from: Position, count: usize) -> Vec<Batch> {
        let samples = Arc::new(Samples::read(&[folder.join("manifest.parquet")]).expect("read"));
        let mut loader = Loader::start(samples, bytes_as_tokens(), options, from).expect("started");
        (0..count).map(|_| loader.next_batch().expect("a batch")).collect()
    }

    #[test]
    fn threads_do_not_matter_and_any_position_resumes() {
        let dir = tempfile::tempdir().expect("a folder");
        write_manifest(dir.path(), 23, 20);
        let all = batches(dir.path(), options(5, 1), Position::default(), 12);
        assert_eq!(batches(dir.path(), options(5, 4), Position::default(), 12), all);
        assert_eq!(all[3].next, Position { epoch: 0, index: 20 });
        assert_eq!(all[4].next, Position { epoch: 1, index: 2 });
        for resumed in [1, 4, 9] {
            assert_eq!(batches(dir.path(), options(5, 2), all[resumed - 1].next, 12 - resumed), all[resumed..]);
        }
        let other_seed = batches(dir.path(), LoaderOptions { seed: 4, ..options(5, 1) }, Position::default(), 1);
        assert_ne!(other_seed[0].pixels, all[0].pixels);
    }

    #[test]
    fn an_epoch_has_every_sample_once() {
        let dir = tempfile::tempdir().expect("a folder");
        write_manifest(dir.path(), 12, 16);
        let plain = LoaderOptions { augment: Augment::None, ..options(4, 2) };
        let all = batches(dir.path(), plain, Position::default(), 6);
        let pictures = |batches: &[Batch]| {
            let mut pictures: Vec<Vec<u8>> =
                batches.iter().flat_map(|batch| batch.pixels.chunks(16 * 16 * 3).map(<[u8]>::to_vec)).collect();
            pictures.sort();
            pictures
        };
        assert_eq!(pictures(&all[..3]), pictures(&all[3..]));
        let mut distinct = pictures(&all[..3]);
        distinct.dedup();
        assert_eq!(distinct.len(), 12);
        assert_ne!(all[0].pixels, all[3].pixels, "the second epoch has another order");
    }

    #[test]
    fn equal_captions_share_a_row() {
        let dir = tempfile::tempdir().expect("a folder");
        write_manifest(dir.path(), 40, 16);
        let batch = batches(dir.path(), options(40, 2), Position::default(), 1).remove(0);
        let rows: Vec<&[i64]> = batch.tokens.chunks(batch.text_length).collect();
        assert_eq!(batch.text_length, 22, "19 bytes rounded up to 24, but no more than the context");
        assert!(rows.len() < 40, "{} rows", rows.len());
        assert!(batch.caption_of.iter().all(|&row| (row as usize) < rows.len()));
        let distinct: std::collections::HashSet<_> = rows.iter().collect();
        assert_eq!(distinct.len(), rows.len());
    }

    #[test]
    fn a_damaged_sample_is_replaced_and_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let manifest = write_manifest(dir.path(), 10, 16);
        let rows = shards::TableReader::<shards::Sample>::read_all(&manifest).expect("read");
        let tar = dir.path().join("00000.tar");
        let mut bytes = std::fs::read(&tar).expect("read");
        let spoil = |bytes: &mut Vec<u8>, i: usize| bytes[rows[i].image_offset as usize..][..40].fill(0);
        spoil(&mut bytes, 4);
        std::fs::write(&tar, &bytes).expect("written");
        let all = batches(dir.path(), options(5, 2), Position::default(), 4);
        assert_eq!(all, batches(dir.path(), options(5, 3), Position::default(), 4));
        let damaged: Vec<&Damaged> = all.iter().flat_map(|batch| &batch.damaged).collect();
        assert!(damaged.len() >= 2, "once an epoch, and when it is drawn as a spare");
        assert!(damaged[0].location.ends_with(&format!("00000.tar at byte {}", rows[4].image_offset)), "{:?}", damaged[0]);
        (0..10).for_each(|i| spoil(&mut bytes, i));
        std::fs::write(&tar, &bytes).expect("written");
        let samples = Arc::new(Samples::read(&[manifest]).expect("read"));
        let mut loader = Loader::start(samples, bytes_as_tokens(), options(5, 2), Position::default()).expect("started");
        assert!(matches!(loader.next_batch(), Err(Error::Unreadable { .. })));
        assert!(loader.next_batch().is_err());
    }
}
