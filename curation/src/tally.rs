//! How often one thread has seen each word, and each pair of words in a row.
//!
//! Words are numbered as they come, so that a pair is one number of 64 bits. When a tally is full it is written as a sorted run
//! ([`Runs`]) and begins anew: memory is bounded, and the sum over all runs of all threads is exact.

use crate::Error;
use crate::folded::is_dense;
use crate::pair_counts::PairCounts;
use crate::runs::Runs;
use crate::vocabulary::{Recent, Vocabulary};
use rayon::slice::ParallelSliceMut;

/// What stands between the two words of a pair in a key: before every character of a word, so that keys sort word by word.
pub(crate) const BETWEEN: u8 = 0;
/// Bytes that a pair takes in a full table, and a word beside its letters.
const PAIR_BYTES: usize = 20;
const WORD_BYTES: usize = 60;

/// Counts of one thread.
pub(crate) struct Tally<'a> {
    runs: &'a Runs,
    words: Vocabulary,
    recent: Recent,
    counts: Vec<u64>,
    pairs: PairCounts,
    last: Option<u32>,
    max_pairs: usize,
    max_words: usize,
    max_letters: usize,
}

impl<'a> Tally<'a> {
    /// A tally of about `bytes` of memory at most.
    pub(crate) fn new(runs: &'a Runs, bytes: usize) -> Self {
        // A hash table is grown by doubling and holds 7/8 of its places; while it grows, the old half is there too.
        let places = (bytes / 2 / PAIR_BYTES / 3 * 2).max(1 << 10);
        Tally {
            runs,
            words: Vocabulary::default(),
            recent: Recent::default(),
            counts: Vec::new(),
            pairs: PairCounts::default(),
            last: None,
            max_pairs: (1 << places.ilog2()) / 8 * 7,
            max_words: (bytes / 4 / WORD_BYTES).max(1 << 10),
            max_letters: (bytes / 4).max(1 << 16),
        }
    }

    /// Counts a word or text that was seen `times` times; with `pair` also its pair with the one before it.
    pub(crate) fn add(&mut self, text: &str, times: u64, pair: bool) -> Result<(), Error> {
        if self.pairs.len() >= self.max_pairs || self.words.len() >= self.max_words || self.words.letters() >= self.max_letters {
            self.close(true)?;
        }
        // The cap above is far below 2^32, so there is always a number.
        let Some(number) = self.recent.add(text, times, &mut self.words, &mut self.counts) else { return Ok(()) };
        if let (true, Some(last)) = (pair, self.last) {
            self.pairs.add(u64::from(last) << 32 | u64::from(number), times);
        }
        self.last = Some(number);
        Ok(())
    }

    /// Hands what was counted over as a run and begins anew.
    pub(crate) fn close(&mut self, spill: bool) -> Result<(), Error> {
        let words = std::mem::take(&mut self.words);
        let mut counts = std::mem::take(&mut self.counts);
        self.recent.settle(&mut counts);
        let pairs = std::mem::take(&mut self.pairs);
        let last = self.last.take().map(|last| words.text(last).to_string());
        write(self.runs, spill, &words, &counts, pairs.into_counts())?;
        // The next word may form a pair with the last one, which was counted already.
        if let Some(last) = last.filter(|_| spill) {
            self.last = self.words.number(&last);
            self.counts = vec![0];
        }
        Ok(())
    }
}

/// Writes words and pairs in the order of their keys.
fn write(runs: &Runs, spill: bool, words: &Vocabulary, counts: &[u64], pairs: impl Iterator<Item = (u64, u64)>) -> Result<(), Error> {
    let mut order: Vec<u32> = (0..words.len() as u32).collect();
    order.par_sort_unstable_by(|&a, &b| words.text(a).cmp(words.text(b)));
    let mut rank = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &word)| rank[word as usize] = place as u32);
    let ranked = |pair: u64| u64::from(rank[(pair >> 32) as usize]) << 32 | u64::from(rank[pair as u32 as usize]);
    let mut pairs: Vec<(u64, u64)> = pairs.map(|(pair, count)| (ranked(pair), count)).collect();
    pairs.par_sort_unstable();
    let mut pairs = pairs.into_iter().peekable();
    runs.add(spill, |run| {
        let mut key = Vec::new();
        for (place, &word) in order.iter().enumerate() {
            key.clear();
            key.extend_from_slice(words.text(word).as_bytes());
            // Nothing was counted for a word that only waits for its pair.
            if counts[word as usize] > 0 {
                run.put(&key, counts[word as usize])?;
            }
            key.push(BETWEEN);
            let length = key.len();
            while let Some((pair, count)) = pairs.next_if(|(pair, _)| (pair >> 32) as usize == place) {
                key.truncate(length);
                key.extend_from_slice(words.text(order[pair as u32 as usize]).as_bytes());
                run.put(&key, count)?;
            }
        }
        Ok(())
    })
}

/// The query that a pair of words makes: with a blank between them, but none where either side is of a script without blanks.
pub(crate) fn joined(first: &str, second: &str) -> String {
    let dense = first.chars().next_back().is_some_and(is_dense) || second.chars().next().is_some_and(is_dense);
    format!("{first}{}{second}", if dense { "" } else { " " })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn spilled_or_not_the_sums_are_the_same(
            words in proptest::collection::vec(("[a-e]{1,3}", any::<bool>()), 0..300),
            max_words in 1usize..40,
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let runs = Runs::new(folder.path().join("runs")).expect("fresh");
            let mut tally = Tally::new(&runs, 1 << 20);
            tally.max_words = max_words;
            let mut expected = BTreeMap::new();
            let mut last = None;
            for (word, pair) in &words {
                tally.add(word, 1, *pair).expect("counted");
                *expected.entry(word.clone()).or_insert(0) += 1;
                if let (true, Some(last)) = (*pair, last) {
                    *expected.entry(format!("{last}\0{word}")).or_insert(0) += 1;
                }
                last = Some(word);
            }
            tally.close(false).expect("closed");
            let mut found = BTreeMap::new();
            runs.sum(|key, count| assert!(found.insert(String::from_utf8_lossy(key).into_owned(), count).is_none())).expect("read");
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn pairs_are_written_as_they_stand_in_text() {
        assert_eq!(joined("new", "york"), "new york");
        assert_eq!(joined("黒い", "猫"), "黒い猫");
    }
}
