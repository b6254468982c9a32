//! How often each word was seen, shared by all threads that count.

use crate::vocabulary::Vocabulary;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard};

/// Parts that can be written to at once. A power of two, well above the number of threads, so that they seldom wait.
const PARTS: usize = 64;

/// Counts of words. One map for all threads, in parts, because a map for each would hold the same words many times over.
pub(crate) struct WordCounts {
    parts: Vec<Mutex<Part>>,
    hasher: rustc_hash::FxBuildHasher,
}

#[derive(Default)]
struct Part {
    words: Vocabulary,
    counts: Vec<u64>,
}

impl Default for WordCounts {
    fn default() -> Self {
        WordCounts { parts: (0..PARTS).map(|_| Mutex::default()).collect(), hasher: Default::default() }
    }
}

impl WordCounts {
    fn part_of(&self, word: &str) -> usize {
        // Not the bits by which the part's own table chooses its places.
        (self.hasher.hash_one(word) >> 40) as usize % PARTS
    }

    fn lock(&self, part: usize) -> MutexGuard<'_, Part> {
        // Poisoned only when a worker panicked, and then that panic ends the whole count.
        self.parts[part].lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Adds a batch's words and their counts.
    pub(crate) fn add(&self, (words, counts): &(Vocabulary, Vec<u64>)) {
        let mut by_part: Vec<Vec<u32>> = vec![Vec::new(); PARTS];
        for number in 0..words.len() as u32 {
            by_part[self.part_of(words.text(number))].push(number);
        }
        for (index, numbers) in by_part.iter().enumerate() {
            let mut part = self.lock(index);
            for &number in numbers {
                // 64 times 2^32 different words do not fit into any memory, so there is always a number.
                if let Some(own) = part.words.number(words.text(number)) {
                    let length = part.words.len();
                    part.counts.resize(length, 0);
                    part.counts[own as usize] += counts[number as usize];
                }
            }
        }
    }

    /// How often `word` was seen.
    pub(crate) fn count(&self, word: &str) -> u64 {
        let part = self.lock(self.part_of(word));
        part.words.find(word).map_or(0, |number| part.counts[number as usize])
    }

    /// Number of different words.
    pub(crate) fn distinct(&self) -> u64 {
        (0..PARTS).map(|part| self.lock(part).words.len() as u64).sum()
    }

    /// Number of words, repeats included.
    pub(crate) fn total(&self) -> u64 {
        (0..PARTS).map(|part| self.lock(part).counts.iter().sum::<u64>()).sum()
    }

    /// The words that were seen at least `min_count` times and have at most `max_chars` characters, by count descending, then by text.
    pub(crate) fn frequent(&self, min_count: u64, max_chars: usize) -> Vec<(String, u64)> {
        let mut frequent = Vec::new();
        for index in 0..PARTS {
            let part = self.lock(index);
            let rows = part.counts.iter().enumerate().filter(|(_, count)| **count >= min_count);
            let rows = rows.map(|(number, &count)| (part.words.text(number as u32), count));
            frequent.extend(rows.filter(|(word, _)| word.chars().count() <= max_chars).map(|(word, count)| (word.to_string(), count)));
        }
        frequent.sort_unstable_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
        frequent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_add_up_and_sort_by_count_then_text() {
        let counts = WordCounts::default();
        let batch = |words: &[&str], times: &[u64]| {
            let mut vocabulary = Vocabulary::default();
            words.iter().for_each(|word| assert!(vocabulary.number(word).is_some()));
            counts.add(&(vocabulary, times.to_vec()));
        };
        batch(&["b", "a", "long"], &[2, 1, 9]);
        batch(&["a", "c"], &[4, 5]);
        assert_eq!((counts.distinct(), counts.total(), counts.count("a"), counts.count("z")), (4, 21, 5, 0));
        assert_eq!(counts.frequent(5, 3), [("a".to_string(), 5), ("c".to_string(), 5)]);
    }
}
