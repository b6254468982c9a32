//! Batches for training: read, decoded, varied and tokenised by native threads while the model computes.
//!
//! What a batch holds depends on (seed, position) only, never on the number of threads or ranks or on timing, so a training
//! resumed at any position sees the same batches as one that was never stopped. Knows nothing of models.

use crate::augment::{Augment, Look};
use crate::batch::{Batch, Damaged, distinct, padded};
use crate::buffer::{Buffer, Numbers};
use crate::draws::Draws;
use crate::feed::Feed;
use crate::member::Members;
use crate::preprocess::{normalise_rows, with_scratch};
use crate::samples::Samples;
use crate::window::{Taken, Window};
use crate::{Error, decode};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use image::RgbImage;
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tch::Device;

/// The order that this loader gives, as checkpoints name it. It changes whenever the samples of a position do.
///
/// 1: one permutation of all samples. 2: blocks, then windows; captions and copies drawn by pass.
pub const LOADER_VERSION: u32 = 2;
/// Batches begun ahead of the one that is waited for: with one, threads that find nothing left to do in a batch go on with the
/// next, and a slow sample holds up nothing.
const AHEAD: usize = 1;
/// Decoded pictures are kept when all of them take at most this many bytes: CIFAR's 50,000 take 150 MB.
const KEEP_BYTES: u64 = 1 << 30;
/// Samples tried in place of a damaged one before the corpus is called unreadable.
const REPLACEMENTS: u64 = 20;

/// Turns a caption into at most so many token ids, start and end included, without padding.
pub type Tokenize = Arc<dyn Fn(&str, usize) -> Vec<u32> + Send + Sync>;

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
    /// Samples in a batch of all ranks together, the same for every batch.
    pub batch_size: usize,
    /// Side of the pictures in pixels.
    pub image_size: u32,
    /// How pictures are varied.
    pub augment: Augment,
    /// Most tokens of a caption.
    pub context_length: usize,
    /// Threads that decode.
    pub workers: usize,
    /// Where the model will compute, which decides the form of the pictures.
    pub device: Device,
    /// Which slice of every batch is made here, from 0, and into how many equal ones a batch is cut.
    pub rank: (usize, usize),
}

/// What loading has taken so far, summed over threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoaderTimes {
    /// Waiting for bytes of archives.
    pub read: Duration,
    /// Decoding, cropping, resizing, normalising and tokenising.
    pub decode: Duration,
}

/// Makes batches from a position on, without end.
pub struct Loader {
    /// The batches in order, each as a promise.
    batches: Option<Receiver<Receiver<Result<Batch, Error>>>>,
    maker: Option<JoinHandle<()>>,
    feed: Feed,
    times: Arc<Times>,
    failed: bool,
}

impl Loader {
    /// Starts threads that make batches from `from` on.
    ///
    /// # Errors
    /// `Options` for a batch size or picture size of 0, a rank that does not exist or ranks that do not divide the batch, or when
    /// the threads cannot be started.
    pub fn start(samples: Arc<Samples>, tokenize: Tokenize, options: LoaderOptions, from: Position) -> Result<Self, Error> {
        let (rank, ranks) = options.rank;
        if options.batch_size == 0 || options.image_size == 0 {
            return Err(Error::Options { why: "batch size and image size must be at least 1".to_string() });
        }
        if rank >= ranks || !options.batch_size.is_multiple_of(ranks) {
            let why = format!("rank {rank} of {ranks} cannot take an equal slice of batches of {}", options.batch_size);
            return Err(Error::Options { why });
        }
        let cannot = |why: String| Error::Options { why: format!("cannot start {} loader threads: {why}", options.workers) };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(options.workers.max(1))
            .thread_name(|i| format!("loader-{i}"))
            .build()
            .map_err(|error| cannot(error.to_string()))?;
        let from = from.after(0, samples.epoch_length());
        let slice = Slice { batch: options.batch_size as u64, rank: rank as u64, ranks: ranks as u64 };
        let (feed, windows) = Feed::start(samples.clone(), options.seed, slice, from).map_err(|error| cannot(error.to_string()))?;
        let (sender, batches) = bounded(AHEAD);
        let times = Arc::new(Times::default());
        let shop = Arc::new(Shop::new(samples, tokenize, options.clone(), times.clone()));
        let mut cutter = Cutter { length: shop.samples.epoch_length(), at: from, slice, windows, window: None };
        let work = move || {
            // Ends when the loader is dropped.
            while let Some(cut) = cutter.cut() {
                let (promise, batch) = bounded(1);
                let shop = shop.clone();
                pool.spawn(move || {
                    let _ = promise.send(shop.batch(cut));
                });
                if sender.send(batch).is_err() {
                    return;
                }
            }
        };
        let maker = std::thread::Builder::new().name("batches".to_string()).spawn(work).map_err(|error| cannot(error.to_string()))?;
        Ok(Loader { batches: Some(batches), maker: Some(maker), feed, times, failed: false })
    }

    /// The next batch; waits for it.
    ///
    /// # Errors
    /// `Unreadable` when a damaged sample's replacements are damaged too; nothing more comes after an error.
    pub fn next_batch(&mut self) -> Result<Batch, Error> {
        let gone = || Error::Options { why: "the loader has stopped after an error".to_string() };
        let batches = self.batches.as_ref().filter(|_| !self.failed);
        let batch = batches.and_then(|batches| batches.recv().ok()?.recv().ok()).ok_or_else(gone)?;
        self.failed = batch.is_err();
        batch
    }

    /// What loading has taken so far.
    pub fn times(&self) -> LoaderTimes {
        let nanoseconds = |count: &AtomicU64| Duration::from_nanos(count.load(Ordering::Relaxed));
        LoaderTimes { read: nanoseconds(&self.times.read), decode: nanoseconds(&self.times.decode) }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Without a receiver the maker's next send fails and its thread ends, and with it the feed's.
        self.batches = None;
        self.feed.stop();
        if let Some(maker) = self.maker.take() {
            let _ = maker.join();
        }
        self.feed.join();
    }
}

/// Nanoseconds over all threads.
#[derive(Default)]
struct Times {
    read: AtomicU64,
    decode: AtomicU64,
}

/// One rank's part of every batch.
#[derive(Clone, Copy)]
pub(crate) struct Slice {
    pub batch: u64,
    pub rank: u64,
    pub ranks: u64,
}

impl Slice {
    /// Samples of a batch that are this rank's, by their number in it.
    pub fn range(self) -> std::ops::Range<u64> {
        let share = self.batch / self.ranks;
        self.rank * share..(self.rank + 1) * share
    }
}

/// Cuts the stream into batches.
struct Cutter {
    length: u64,
    at: Position,
    slice: Slice,
    windows: Receiver<Arc<Window>>,
    window: Option<Arc<Window>>,
}

/// The places of one batch, and the windows that hold their bytes.
struct Cut {
    places: Vec<(Arc<Window>, Position)>,
    next: Position,
}

impl Cutter {
    /// The next batch's places; `None` when no more windows come.
    fn cut(&mut self) -> Option<Cut> {
        let (begin, length) = (self.at, self.length);
        let places = self.slice.range().map(|i| begin.after(i, length)).map(|at| Some((self.window(at)?, at)));
        let places = places.collect::<Option<Vec<_>>>()?;
        self.at = begin.after(self.slice.batch, length);
        Some(Cut { places, next: self.at })
    }

    /// The window that `at` is in. Positions only ever ascend, and so do windows.
    fn window(&mut self, at: Position) -> Option<Arc<Window>> {
        loop {
            if let Some(window) = self.window.as_ref().filter(|window| window.epoch == at.epoch && at.index < window.end()) {
                return Some(window.clone());
            }
            // Given back before the next is waited for, for which there may be no room otherwise.
            self.window = None;
            self.window = Some(self.windows.recv().ok()?);
        }
    }
}

/// Makes a batch of its places; shared by the threads.
struct Shop {
    samples: Arc<Samples>,
    tokenize: Tokenize,
    options: LoaderOptions,
    times: Arc<Times>,
    /// Decoded pictures by sample, when the corpus is small.
    kept: Vec<OnceLock<RgbImage>>,
    /// Bytes that may still be kept: the sizes in a manifest are only a claim.
    room: AtomicU64,
    /// Buffers that batches gave back.
    buffers: Receiver<Buffer>,
    home: Sender<Buffer>,
}

impl Shop {
    fn new(samples: Arc<Samples>, tokenize: Tokenize, options: LoaderOptions, times: Arc<Times>) -> Self {
        let keep = samples.pixels().saturating_mul(3) <= KEEP_BYTES;
        let kept = (0..if keep { samples.count() } else { 0 }).map(|_| OnceLock::new()).collect();
        let (home, buffers) = unbounded();
        Shop { samples, tokenize, options, times, kept, room: AtomicU64::new(KEEP_BYTES), buffers, home }
    }

    /// Makes a batch; runs on the threads of the current pool.
    fn batch(&self, cut: Cut) -> Result<Batch, Error> {
        let side = self.options.image_size as usize;
        let one = 3 * side * side;
        let buffer = self.buffers.try_recv().ok();
        let mut buffer = buffer.map_or_else(|| Buffer::new(cut.places.len(), side, self.options.device), Ok)?;
        let made: Vec<(String, Vec<Damaged>)> = match buffer.numbers() {
            Numbers::Bytes(all) => {
                let outs = all.par_chunks_mut(one).map(Numbers::Bytes);
                outs.zip(&cut.places).map(|(out, place)| self.sample(place, out)).collect::<Result<_, Error>>()?
            }
            Numbers::Floats(all) => {
                let outs = all.par_chunks_mut(one).map(Numbers::Floats);
                outs.zip(&cut.places).map(|(out, place)| self.sample(place, out)).collect::<Result<_, Error>>()?
            }
        };
        let (captions, damaged): (Vec<String>, Vec<Vec<Damaged>>) = made.into_iter().unzip();
        let started = Instant::now();
        let (texts, caption_of) = distinct(&captions);
        let most = self.options.context_length;
        let texts: Vec<Vec<u32>> = texts.par_iter().map(|text| (self.tokenize)(text, most)).collect();
        let (tokens, text_length) = padded(&texts, most);
        add(&self.times.decode, started);
        let damaged = damaged.into_iter().flatten().collect();
        Ok(Batch { next: cut.next, tokens, text_length, caption_of, damaged, buffer: Some(buffer), home: self.home.clone() })
    }

    /// Writes a view of the sample at a place into `out` and chooses one of its captions. A damaged sample's place is taken by
    /// another one, chosen by the position.
    fn sample(&self, (window, at): &(Arc<Window>, Position), mut out: Numbers) -> Result<(String, Vec<Damaged>), Error> {
        let started = Instant::now();
        let mut taken = window.at(at.index);
        window.wait(taken);
        let read = add(&self.times.read, started);
        let mut made = window.span(taken, &self.samples).and_then(|span| self.make(taken, at.epoch, span, &mut out));
        let mut damaged = Vec::new();
        let mut spares = Draws::new("spare", self.options.seed, &[at.epoch, at.index]);
        loop {
            let why = match made {
                Ok(caption) => {
                    add(&self.times.decode, read);
                    return Ok((caption, damaged));
                }
                Err(why) => why,
            };
            damaged.push(Damaged { location: self.samples.location(taken.sample), why });
            if damaged.len() as u64 > REPLACEMENTS {
                let first = damaged.swap_remove(0);
                return Err(Error::Unreadable { location: first.location, why: first.why, tried: REPLACEMENTS });
            }
            taken = Taken::spare(spares.below(self.samples.count() as u64) as u32);
            let span = self.samples.read_near(taken.sample, self.samples.record(taken.sample).span());
            made = span.and_then(|span| self.make(taken, at.epoch, &span, &mut out));
        }
    }

    /// Writes a view of a sample and chooses a caption; `Err` says in words what is wrong with it.
    fn make(&self, taken: Taken, epoch: u64, span: &[u8], out: &mut Numbers) -> Result<String, String> {
        let record = self.samples.record(taken.sample);
        let members = Members::find(span, record)?;
        let identity = [epoch, members.name, u64::from(taken.pass)];
        let draws = |purpose| Draws::new(purpose, self.options.seed, &identity);
        let caption = members.caption(record, &self.samples, |count| draws("caption").below(count))?;
        let side = self.options.image_size;
        let draw = |size| self.options.augment.draw(size, side, &mut draws("view"));
        let kept = self.kept.get(taken.sample as usize);
        if let Some(pixels) = kept.and_then(OnceLock::get) {
            self.write(&draw(pixels.dimensions()), pixels, out);
            return Ok(caption);
        }
        members.check()?;
        let (pixels, look) = if kept.is_some() {
            let pixels = decode::whole(members.picture)?;
            let look = draw(pixels.dimensions());
            (pixels, look)
        } else {
            decode::enough(members.picture, side, draw)?
        };
        self.write(&look, &pixels, out);
        if let Some(slot) = kept {
            let size = pixels.as_raw().len() as u64;
            if self.room.try_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(size)).is_ok() {
                let _ = slot.set(pixels);
            }
        }
        Ok(caption)
    }

    fn write(&self, look: &Look, pixels: &RgbImage, out: &mut Numbers) {
        let side = self.options.image_size;
        match out {
            Numbers::Bytes(out) => look.take(pixels, side, out),
            Numbers::Floats(out) => with_scratch(out.len(), |bytes| {
                look.take(pixels, side, bytes);
                normalise_rows(bytes, out);
            }),
        }
    }
}

/// Adds the time since `started`; returns the time now.
fn add(sum: &AtomicU64, started: Instant) -> Instant {
    let now = Instant::now();
    sum.fetch_add(now.duration_since(started).as_nanos() as u64, Ordering::Relaxed);
    now
}

#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;
