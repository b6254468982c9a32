//! Which pictures are copies of each other: exactly, by their hashes, and nearly, by perceptual hash and thumbnail.
//!
//! Works on the facts in memory; the thumbnails it asks for are handed in. Knows nothing of files.

use crate::hamming::neighbours;
use crate::pool::Pool;
use rayon::slice::ParallelSliceMut;
use rustc_hash::FxHashMap;
use shards::THUMBNAIL_SIDE;

/// Perceptual hashes of copies differ in at most this many of 64 bits, the most for which the search is exact. Measured on 600
/// photographs: of 200 each that were re-encoded (quality 20 to 95), halved, quartered or brightened by 15 levels, all are within 6
/// bits of the original; of their 179,700 pairs of different photographs, none. Of 600 small drawings that lost 1 or 2 of about
/// 110 pixels at each side, 557 are within 6 bits and 572 within 7; of their 179,700 pairs none is within 8.
const MAX_BITS: u32 = crate::hamming::MAX_BITS;
/// Hashes in a bucket of 16 bits that are compared: ten times a bucket's share at 400 million pictures.
const BUCKET_CAP: usize = 1 << 16;
/// Kept pictures of one perceptual hash that a further picture is compared with.
const LEADER_CAP: usize = 256;
/// Largest mean difference of two thumbnails, brightness removed, as a share of their contrast. The hash sees no colour
/// and little of a small shape; this does. Measured as above, among pairs whose hashes agree within 6 bits:
/// copies re-encoded at quality 40 or more, halved, quartered or enlarged stay below 0.11; brightened by 15 levels 98 % below
/// 0.12, by a tenth 90 %; the same drawn shape in another colour starts at 0.18 (10 colours, 5 shapes, 5 sizes, 4
/// backgrounds), on another background at 0.6; a shape of another kind or 2 % of the side further mostly above 0.12.
const MAX_DIFFERENCE: f32 = 0.12;
/// What rounding to 8 bits alone may make of the mean difference, in levels: 0.25 on average.
const ROUNDING: f32 = 0.3;

/// For every pair of the pool the number of the best pair with the same picture, by bytes or by pixels; its own number
/// when there is none or a filter has refused it.
pub(crate) fn exact_groups(pool: &Pool) -> Vec<u32> {
    let mut parent: Vec<u32> = (0..pool.len() as u32).collect();
    let mut order = pool.survivors();
    for keys in [&pool.images, &pool.pixels] {
        order.par_sort_unstable_by_key(|&index| (keys[index as usize], index));
        for pair in order.windows(2).filter(|pair| keys[pair[0] as usize] == keys[pair[1] as usize]) {
            let (a, b) = (find(&mut parent, pair[0]), find(&mut parent, pair[1]));
            parent[a.max(b) as usize] = a.min(b);
        }
    }
    // The best of each set, at the set's root, then told to all.
    let mut best: Vec<u32> = (0..pool.len() as u32).collect();
    for &index in &order {
        let root = find(&mut parent, index) as usize;
        if pool.rank(index) < pool.rank(best[root]) {
            best[root] = index;
        }
    }
    (0..pool.len() as u32).map(|index| best[find(&mut parent, index) as usize]).collect()
}

/// The root of a set, halving the path to it.
fn find(parent: &mut [u32], mut index: u32) -> u32 {
    while parent[index as usize] != index {
        let above = parent[parent[index as usize] as usize];
        parent[index as usize] = above;
        index = above;
    }
    index
}

/// The pairs that repeat both picture and caption of a better pair: (pair, the better one), ascending.
pub(crate) fn repeated_captions(pool: &Pool, groups: &[u32]) -> Vec<(u32, u32)> {
    let mut order = pool.survivors();
    order.par_sort_unstable_by_key(|&index| (groups[index as usize], pool.captions[index as usize], pool.rank(index)));
    let same = |a: &u32, b: &u32| groups[*a as usize] == groups[*b as usize] && pool.captions[*a as usize] == pool.captions[*b as usize];
    let mut repeats: Vec<(u32, u32)> = order.chunk_by(same).flat_map(|run| run[1..].iter().map(|&index| (index, run[0]))).collect();
    repeats.sort_unstable();
    repeats
}

/// A search for near duplicates, waiting for thumbnails.
pub(crate) struct NearSearch {
    /// The perceptual hashes, ascending, without repeats.
    values: Vec<u64>,
    /// Neighbouring hashes as positions in `values`, in both directions, ascending.
    links: Vec<(u32, u32)>,
    /// Pictures (as the best pair of their exact group) whose hash has a neighbour or is shared, best first.
    candidates: Vec<u32>,
    /// Comparisons left out, see [`crate::hamming::Neighbours`].
    pub(crate) left_out: u64,
}

impl NearSearch {
    /// Finds the neighbouring hashes among the pictures that the filters left.
    pub(crate) fn new(pool: &Pool, groups: &[u32]) -> Self {
        let mut pictures: Vec<u32> = pool.survivors().into_iter().filter(|&index| groups[index as usize] == index).collect();
        let value = |index: u32| pool.perceptual[index as usize];
        pictures.par_sort_unstable_by_key(|&index| (value(index), index));
        let mut values: Vec<u64> = pictures.iter().map(|&index| value(index)).collect();
        values.dedup();
        let found = neighbours(&values, MAX_BITS, BUCKET_CAP);
        let mut links = found.pairs;
        links.extend_from_within(..);
        let half = links.len() / 2;
        links[half..].iter_mut().for_each(|link| *link = (link.1, link.0));
        links.par_sort_unstable();
        let mut search = NearSearch { values, links, candidates: Vec::new(), left_out: found.left_out };
        let runs = pictures.chunk_by(|&a, &b| value(a) == value(b));
        search.candidates = runs
            .enumerate()
            .filter(|(position, run)| run.len() > 1 || !search.links_of(*position as u32).is_empty())
            .flat_map(|(_, run)| run.iter().copied())
            .collect();
        search.candidates.par_sort_unstable_by_key(|&index| pool.rank(index));
        search
    }

    /// The numbers of the pairs whose thumbnails are needed, in no useful order.
    pub(crate) fn candidates(&self) -> &[u32] {
        &self.candidates
    }

    fn links_of(&self, position: u32) -> &[(u32, u32)] {
        let from = self.links.partition_point(|link| link.0 < position);
        let to = self.links.partition_point(|link| link.0 <= position);
        &self.links[from..to]
    }

    /// Decides the near duplicates: (picture, the better picture that it copies). Best first, each picture is compared with
    /// those kept so far, so that a chain of small changes never joins pictures that do not look alike.
    pub(crate) fn decide(&self, pool: &Pool, thumbnails: &FxHashMap<u32, Vec<u8>>) -> Vec<(u32, u32)> {
        let mut leaders: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        let mut copies = Vec::new();
        for &picture in &self.candidates {
            let Some(thumbnail) = thumbnails.get(&picture) else { continue };
            let Ok(position) = self.values.binary_search(&pool.perceptual[picture as usize]) else { continue };
            let position = position as u32;
            let leader = std::iter::once(position)
                .chain(self.links_of(position).iter().map(|link| link.1))
                .filter_map(|position| leaders.get(&position))
                .flatten()
                .filter(|leader| thumbnails.get(leader).is_some_and(|other| look_alike(thumbnail, other)))
                .min_by_key(|&&leader| pool.rank(leader));
            match leader {
                Some(&leader) => copies.push((picture, leader)),
                None => {
                    let leaders = leaders.entry(position).or_default();
                    if leaders.len() < LEADER_CAP {
                        leaders.push(picture);
                    }
                }
            }
        }
        copies
    }
}

/// Whether two 8 x 8 RGB thumbnails show the same picture. Brightness is taken out by the mean over all channels: a shift
/// for each channel would make a red picture of a blue one.
fn look_alike(a: &[u8], b: &[u8]) -> bool {
    let size = 3 * (THUMBNAIL_SIDE * THUMBNAIL_SIDE) as usize;
    if a.len() != size || b.len() != size {
        return false;
    }
    let shift = (sum(a) - sum(b)) / size as f32;
    let difference = a.iter().zip(b).map(|(&a, &b)| (f32::from(a) - f32::from(b) - shift).abs()).sum::<f32>() / size as f32;
    difference <= (MAX_DIFFERENCE * contrast(a).max(contrast(b))).max(ROUNDING)
}

fn sum(bytes: &[u8]) -> f32 {
    bytes.iter().map(|&byte| f32::from(byte)).sum()
}

/// Mean distance of the values from their channel's mean: what varies over the picture, whatever its tint.
fn contrast(thumbnail: &[u8]) -> f32 {
    let channel = |channel: usize| {
        let values = || thumbnail.iter().skip(channel).step_by(3).map(|&value| f32::from(value));
        let mean = values().sum::<f32>() / values().count() as f32;
        values().map(|value| (value - mean).abs()).sum::<f32>()
    };
    (0..3).map(channel).sum::<f32>() / thumbnail.len() as f32
}

#[cfg(test)]
#[path = "duplicates_tests.rs"]
mod tests;
