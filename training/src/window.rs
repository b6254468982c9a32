//! A window of the stream: the samples that are shuffled together, with their bytes in memory.

use crate::epoch::{Epoch, visited};
use crate::order::Order;
use crate::samples::Samples;
use std::sync::OnceLock;

/// Samples nearer to each other than this many bytes are read at once, with what lies between them.
const GAP: u64 = 128 << 10;
/// One read brings at most about this many bytes.
const MOST: u64 = 16 << 20;

/// A window, whose visits are filled by readers while others take samples from it.
pub(crate) struct Window {
    pub epoch: u64,
    /// The place in the epoch at which it begins.
    first: u64,
    order: Order,
    /// The window's samples before they are shuffled: the visit and the sample.
    pool: Vec<(u32, u32)>,
    visits: Vec<Load>,
}

/// One visit.
struct Load {
    pass: u32,
    /// The samples to read, ascending.
    samples: Vec<u32>,
    ranges: OnceLock<Vec<Range>>,
}

/// What was read at once.
struct Range {
    start: u64,
    bytes: Result<Vec<u8>, String>,
}

/// A place of the window, and whose it is.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    pub sample: u32,
    /// Which of the sample's places in the epoch.
    pub pass: u32,
    visit: u32,
}

impl Taken {
    /// A sample that no place asks for, in a damaged one's place.
    pub fn spare(sample: u32) -> Self {
        Taken { sample, pass: 0, visit: 0 }
    }
}

impl Window {
    /// Lays out a window. Only the samples at places that are `wanted` (counted from the epoch's start) will be read.
    pub fn new(samples: &Samples, epoch: &Epoch, seed: u64, number: u64, window: usize, wanted: impl Fn(u64) -> bool) -> Self {
        let (visits, first, order) = epoch.window(window);
        let mut pool = Vec::with_capacity(order.count() as usize);
        for (visit, of) in visits.iter().enumerate() {
            pool.extend(visited(samples, seed, number, *of).into_iter().map(|sample| (visit as u32, sample)));
        }
        let mut loads: Vec<Load> =
            visits.iter().map(|visit| Load { pass: visit.pass, samples: Vec::new(), ranges: OnceLock::new() }).collect();
        for place in (0..order.count()).filter(|place| wanted(first + place)) {
            let (visit, sample) = pool[order.at(place) as usize];
            loads[visit as usize].samples.push(sample);
        }
        loads.iter_mut().for_each(|load| load.samples.sort_unstable());
        Window { epoch: number, first, order, pool, visits: loads }
    }

    /// The place behind the window's last.
    pub fn end(&self) -> u64 {
        self.first + self.order.count()
    }

    /// Number of visits.
    pub fn visits(&self) -> usize {
        self.visits.len()
    }

    /// Reads the bytes of a visit, unless `stopped` says that nobody wants them any more.
    pub fn load(&self, visit: usize, samples: &Samples, stopped: bool) {
        let load = &self.visits[visit];
        let ranges = if stopped { Vec::new() } else { read(&load.samples, samples) };
        // Each visit is loaded by one reader once.
        let _ = load.ranges.set(ranges);
    }

    /// The sample at a place of the epoch that lies in this window.
    pub fn at(&self, index: u64) -> Taken {
        let (visit, sample) = self.pool[self.order.at(index - self.first) as usize];
        Taken { sample, pass: self.visits[visit as usize].pass, visit }
    }

    /// Waits until a sample's visit has been read.
    pub fn wait(&self, taken: Taken) {
        self.visits[taken.visit as usize].ranges.wait();
    }

    /// The bytes of a sample's span; waits for them.
    ///
    /// # Errors
    /// In words, when they could not be read.
    pub fn span(&self, taken: Taken, samples: &Samples) -> Result<&[u8], String> {
        let ranges = self.visits[taken.visit as usize].ranges.wait();
        let extent = samples.record(taken.sample).span();
        let range = ranges.partition_point(|range| range.start <= extent.offset).checked_sub(1).map(|at| &ranges[at]);
        let range = range.ok_or("it was not read")?;
        let bytes = range.bytes.as_ref().map_err(String::clone)?;
        let start = (extent.offset - range.start) as usize;
        bytes.get(start..start + extent.length as usize).ok_or_else(|| "it was not read".to_string())
    }
}

/// Reads samples of one archive, neighbours together.
fn read(wanted: &[u32], samples: &Samples) -> Vec<Range> {
    let mut ranges = Vec::new();
    let mut rest = wanted;
    while let Some(&first) = rest.first() {
        let mut extent = samples.record(first).span();
        let near = |sample: &&u32| {
            let next = samples.record(**sample).span();
            let end = extent.offset + extent.length;
            let fits = next.offset <= end + GAP && next.offset + next.length <= extent.offset + MOST;
            if fits {
                extent.length = end.max(next.offset + next.length) - extent.offset;
            }
            fits
        };
        let count = 1 + rest[1..].iter().take_while(near).count();
        let (together, after) = rest.split_at(count);
        rest = after;
        match samples.read_near(first, extent) {
            Err(_) if count > 1 => ranges.extend(together.iter().map(|&sample| read_one(sample, samples))),
            bytes => ranges.push(Range { start: extent.offset, bytes }),
        }
    }
    ranges
}

fn read_one(sample: u32, samples: &Samples) -> Range {
    let extent = samples.record(sample).span();
    Range { start: extent.offset, bytes: samples.read_near(sample, extent) }
}
