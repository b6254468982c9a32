//! From kept pairs to samples: pairs with the same picture become one sample with several captions.
//!
//! Duplicates share a group, whether or not a rule drops them.

use crate::filters::{Filters, Rule};
use crate::pool::{Matches, Pool};
use shards::{PairId, PoolRow, Sample};
use std::path::Path;

/// Which pairs belong together; 12 bytes for each pair of the pool.
pub(crate) struct Samples {
    /// For each pair the best pair with the same picture; its own number when every pair is a sample of its own.
    merged: Vec<u32>,
    /// For each pair the group of its sample: the smallest fingerprint among all pairs with the same or nearly the same
    /// picture.
    group: Vec<u64>,
    /// Pairs that the last rule left, of merged pictures with several pairs: sorted by (`merged`, pair).
    extras: Vec<Extra>,
}

/// A pair of a sample with several captions. Captions are in memory only for these.
struct Extra {
    sample: u32,
    index: u32,
    pair: PairId,
    caption: String,
    queries: Vec<u32>,
}

impl Samples {
    /// Joins the pairs by `exact` groups (see [`crate::duplicates::exact_groups`]) and the near `copies` of their best pairs.
    pub(crate) fn new(pool: &Pool, exact: Vec<u32>, copies: &[(u32, u32)], filters: &Filters) -> Self {
        let mut leader: Vec<u32> = (0..pool.len() as u32).collect();
        for &(copy, of) in copies {
            leader[copy as usize] = of;
        }
        let mut smallest = vec![u64::MAX; pool.len()];
        for (index, pair) in pool.pairs.iter().enumerate() {
            let group = &mut smallest[leader[exact[index] as usize] as usize];
            *group = (*group).min(pair.fingerprint());
        }
        let group = exact.iter().map(|&best| smallest[leader[best as usize] as usize]).collect();
        let merged = if filters.on(Rule::ExactDuplicate) { exact } else { (0..pool.len() as u32).collect() };
        Samples { merged, group, extras: Vec::new() }
    }

    /// How many kept pairs each sample has, by the number of its best pair.
    pub(crate) fn sizes(&self, pool: &Pool) -> Vec<u32> {
        let mut sizes = vec![0; pool.len()];
        for index in (0..pool.len()).filter(|&index| pool.kept(index)) {
            sizes[self.merged[index] as usize] += 1;
        }
        sizes
    }

    /// Remembers a kept pair if its sample has others, by the `sizes`.
    pub(crate) fn remember(&mut self, index: usize, row: Matches, sizes: &[u32]) {
        let sample = self.merged[index];
        if sizes[sample as usize] > 1 {
            let Matches { caption, pair_id, query_ids } = row;
            self.extras.push(Extra { sample, index: index as u32, pair: pair_id, caption, queries: query_ids });
        }
    }

    /// Brings what was remembered into order; to be called once, before [`Samples::sample`].
    pub(crate) fn sort(&mut self, pool: &Pool) {
        self.extras.sort_by_key(|extra| (extra.sample, pool.rank(extra.index)));
    }

    /// The sample whose picture is kept pair `index`'s own, or `None` if a better kept pair has the same picture.
    /// `tar` is the segment's tar relative to the manifest.
    pub(crate) fn sample(&self, index: usize, row: &PoolRow, tar: &Path) -> Option<Sample> {
        let sample = self.merged[index];
        let from = self.extras.partition_point(|extra| extra.sample < sample);
        let to = from + self.extras[from..].partition_point(|extra| extra.sample == sample);
        let extras = &self.extras[from..to];
        if extras.first().is_some_and(|first| first.index as usize != index) {
            return None;
        }
        let mut pair_ids = vec![row.pair_id];
        let mut captions = vec![row.caption.clone()];
        let mut query_ids = row.query_ids.clone();
        for extra in extras.iter().skip(1).filter(|extra| extra.caption != row.caption) {
            pair_ids.push(extra.pair);
            captions.push(extra.caption.clone());
            query_ids.extend(&extra.queries);
        }
        query_ids.sort_unstable();
        query_ids.dedup();
        Some(Sample {
            sample_key: row.key.clone(),
            image_id: row.image_id,
            pair_ids,
            captions,
            query_ids,
            image_url: row.url.clone(),
            page_url: row.page_url.clone(),
            split: "train".to_string(),
            label: None,
            weight: 1.0,
            group_id: self.group[index],
            shard: tar.to_string_lossy().into_owned(),
            image_offset: row.image_offset,
            image_length: row.image_length,
            text_offset: row.text_offset,
            text_length: row.text_length,
            json_offset: row.json_offset,
            json_length: row.json_length,
            width: row.width,
            height: row.height,
        })
    }
}
