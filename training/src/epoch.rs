//! The order of samples in an epoch: blocks in a seeded order, then windows of them in which samples are shuffled.
//!
//! Disks and object stores give their full speed only for long reads, so what is drawn at random is blocks of 4 MB
//! ([`crate::samples`]), and only what lies in the same window of 256 MB is shuffled sample by sample. Both are permutations
//! that are computed: from (seed, epoch) and a place follows the sample, whichever place is asked for first.

use crate::order::Order;
use crate::samples::Samples;

/// Bytes of a window. 64 blocks: the samples of a batch come from 64 places drawn over the whole corpus, and two windows
/// (one in use, one being read) fit any machine that trains.
const WINDOW_BYTES: u64 = 256 << 20;

/// A block in an epoch: those of its samples that have a place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    pub block: u32,
    /// Samples of weights above 1 come several times. Each time belongs to another visit, so that they are far apart.
    pub pass: u32,
    /// Its samples.
    pub places: u32,
}

/// Visits that are shuffled together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Start {
    visit: usize,
    place: u64,
}

/// One epoch's order.
pub(crate) struct Epoch {
    seed: u64,
    number: u64,
    visits: Vec<Visit>,
    /// Where each window begins, and the end.
    starts: Vec<Start>,
}

impl Epoch {
    /// The order of epoch `number`. Takes a moment for each block, and for each sample where there are weights.
    pub fn new(samples: &Samples, seed: u64, number: u64) -> Self {
        let all = visits(samples, seed, number);
        let order = Order::new("order", seed, &[number], all.len() as u64);
        let visits: Vec<Visit> = (0..all.len() as u64).map(|i| all[order.at(i) as usize]).collect();
        let (mut place, mut bytes) = (0, 0);
        let mut starts = Vec::new();
        for (visit, Visit { block, places, .. }) in visits.iter().enumerate() {
            if bytes >= WINDOW_BYTES || starts.is_empty() {
                starts.push(Start { visit, place });
                bytes = 0;
            }
            place += u64::from(*places);
            // Pictures of a block are about of one size.
            bytes += samples.block_bytes(*block) * u64::from(*places) / samples.block(*block).len() as u64;
        }
        starts.push(Start { visit: visits.len(), place });
        Epoch { seed, number, visits, starts }
    }

    /// Number of windows.
    pub fn windows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The window that `place` is in.
    pub fn window_of(&self, place: u64) -> usize {
        self.starts.partition_point(|start| start.place <= place).clamp(1, self.windows()) - 1
    }

    /// The visits of a window, its first place and the order in which its places come.
    pub fn window(&self, window: usize) -> (&[Visit], u64, Order) {
        let (start, end) = (self.starts[window], self.starts[window + 1]);
        let order = Order::new("window", self.seed, &[self.number, window as u64], end.place - start.place);
        (&self.visits[start.visit..end.visit], start.place, order)
    }
}

/// All visits with samples, in the order of blocks.
fn visits(samples: &Samples, seed: u64, epoch: u64) -> Vec<Visit> {
    let blocks = 0..samples.blocks() as u32;
    if !samples.weighted() {
        return blocks.map(|block| Visit { block, pass: 0, places: samples.block(block).len() as u32 }).collect();
    }
    let mut visits = Vec::new();
    for block in blocks {
        let mut passes: Vec<u32> = Vec::new();
        for (_, copies) in samples.copies(block, seed, epoch) {
            passes.resize(passes.len().max(copies as usize), 0);
            passes[..copies as usize].iter_mut().for_each(|places| *places += 1);
        }
        visits.extend(passes.into_iter().enumerate().map(|(pass, places)| Visit { block, pass: pass as u32, places }));
    }
    visits
}

/// The samples of a visit, ascending.
pub(crate) fn visited(samples: &Samples, seed: u64, epoch: u64, visit: Visit) -> Vec<u32> {
    if !samples.weighted() {
        return samples.block(visit.block).collect();
    }
    samples.copies(visit.block, seed, epoch).filter(|(_, copies)| *copies > u64::from(visit.pass)).map(|(sample, _)| sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::tests::nowhere;
    use proptest::prelude::*;

    /// All samples of an epoch in order.
    fn samples_of(samples: &Samples, seed: u64, number: u64) -> Vec<u32> {
        let epoch = Epoch::new(samples, seed, number);
        let mut all = Vec::new();
        for window in 0..epoch.windows() {
            let (visits, first, order) = epoch.window(window);
            assert_eq!(first, all.len() as u64);
            let pool: Vec<u32> = visits.iter().flat_map(|visit| visited(samples, seed, number, *visit)).collect();
            assert_eq!(pool.len() as u64, order.count());
            for place in 0..order.count() {
                assert_eq!(epoch.window_of(first + place), window);
                all.push(pool[order.at(place) as usize]);
            }
        }
        all
    }

    proptest! {
        #[test]
        fn every_sample_as_often_as_its_weight_says(
            counts in prop::collection::vec(1u32..80, 1..6),
            weights in prop_oneof![Just(vec![1.0]), prop::collection::vec(0.1f64..3.5, 1..5)],
            bytes in prop_oneof![Just(2_000u32), Just(900_000), Just(60_000_000)],
            seed: u64,
            number in 0u64..50,
        ) {
            let samples = nowhere(&counts, &weights, bytes);
            let all = samples_of(&samples, seed, number);
            prop_assert_eq!(all.len() as u64, samples.epoch_length());
            let mut counted = vec![0u64; samples.count()];
            all.iter().for_each(|&sample| counted[sample as usize] += 1);
            for (sample, copies) in (0..samples.blocks() as u32).flat_map(|block| samples.copies(block, seed, number)) {
                prop_assert_eq!(counted[sample as usize], copies);
            }
            if weights == [1.0] {
                prop_assert!(counted.iter().all(|&count| count == 1));
            }
            prop_assert_eq!(samples_of(&samples, seed, number), all, "the same again");
        }
    }

    #[test]
    fn a_batch_comes_from_all_over_the_corpus() {
        // 8 archives of 4,000 pictures of 100,000 bytes: 3.2 GB in 761 blocks, 12 windows.
        let samples = nowhere(&[4000; 8], &[1.0], 100_000);
        let all = samples_of(&samples, 3, 0);
        let mut blocks = vec![0u32; samples.count()];
        (0..samples.blocks() as u32).for_each(|block| samples.block(block).for_each(|sample| blocks[sample as usize] = block));
        let (mut archives, mut distinct, mut batches) = (0, 0, 0);
        for batch in all.chunks_exact(256).take(100) {
            let different: std::collections::HashSet<u32> = batch.iter().map(|&sample| blocks[sample as usize]).collect();
            distinct += different.len();
            archives += batch.iter().map(|sample| sample / 4000).collect::<std::collections::HashSet<_>>().len();
            batches += 1;
        }
        // 256 draws among 64 blocks meet 63 of them on average; batches that cross windows meet more.
        assert!(distinct / batches >= 60, "{}", distinct / batches);
        assert!(archives / batches >= 7, "{}", archives / batches);
        // Neighbours in the order are far apart in the corpus: a third of its length on average, as in a perfect shuffle.
        let gap: u64 = all.windows(2).map(|pair| u64::from(pair[0].abs_diff(pair[1]))).sum::<u64>() / (all.len() as u64 - 1);
        assert!((9_000..12_300).contains(&gap), "{gap} of 32,000");
        // And an epoch later those who shared a batch are mostly not together again.
        let place: Vec<usize> = {
            let mut place = vec![0; all.len()];
            samples_of(&samples, 3, 1).iter().enumerate().for_each(|(at, &sample)| place[sample as usize] = at / 256);
            place
        };
        let pairs =
            all.chunks_exact(256).flat_map(|batch| batch.windows(2)).filter(|pair| place[pair[0] as usize] == place[pair[1] as usize]);
        // By chance 255 of 31,999 others share a batch: 256 pairs here. Of the same block they share the window too.
        let together = pairs.count();
        assert!(together < 700, "{together} of 31,875 neighbours");
    }

    #[test]
    fn copies_of_a_heavy_sample_are_apart() {
        let samples = nowhere(&[2000, 2000], &[1.0, 1.0, 1.0, 5.0], 100_000);
        let all = samples_of(&samples, 1, 0);
        let mut last = vec![None; samples.count()];
        let mut near = 0;
        for (at, &sample) in all.iter().enumerate() {
            near += usize::from(last[sample as usize].is_some_and(|before| at - before < 256));
            last[sample as usize] = Some(at);
        }
        // 1,000 samples with 4 gaps each in an epoch of 8,000: by chance one gap in 7 is shorter than 256.
        assert!(near < 1000, "{near} of 4,000");
    }
}
