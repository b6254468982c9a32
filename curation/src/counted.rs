//! What a list needs of the counts of a corpus: frequent words, frequent pairs, and whatever is asked for by name.

use crate::Error;
use crate::runs::Runs;
use crate::tally::{BETWEEN, joined};
use crate::vocabulary::Vocabulary;

/// The counts of a corpus, as far as they are wanted.
#[derive(Default)]
pub(crate) struct Counted {
    /// Words, repeats included: the N of pointwise mutual information.
    pub(crate) total: u64,
    /// Different words.
    pub(crate) distinct: u64,
    /// Different pairs.
    pub(crate) distinct_pairs: u64,
    words: Vocabulary,
    counts: Vec<u64>,
    /// Frequent pairs: their words with [`BETWEEN`] between them, and their counts.
    pairs: Vec<(String, u64)>,
    /// Counts of wanted texts that are pairs, by their number among the wanted.
    phrases: Vec<u64>,
}

/// A pair of words that occurs often enough.
pub(crate) struct Pair {
    pub(crate) text: String,
    pub(crate) count: u64,
    /// Pointwise mutual information in bits: log2(c12 * N / (c1 * c2)).
    pub(crate) pmi: f64,
}

impl Counted {
    /// Adds up all runs; keeps words seen `min_word` times, pairs seen `min_pair` times, and those that `wanted` holds.
    pub(crate) fn read(runs: &Runs, min_word: u64, min_pair: u64, wanted: &Vocabulary) -> Result<Self, Error> {
        let mut counted = Counted { phrases: vec![0; wanted.len()], ..Counted::default() };
        // A word is seen at least as often as any pair with it, so the words of all kept pairs are kept too.
        let min_word = min_word.min(min_pair).max(1);
        runs.sum(|key, count| {
            let key = String::from_utf8_lossy(key);
            match key.split_once(char::from(BETWEEN)) {
                None => counted.word(&key, count, count >= min_word || wanted.find(&key).is_some()),
                Some((first, second)) => {
                    counted.distinct_pairs += 1;
                    if wanted.len() > 0
                        && let Some(number) = wanted.find(&joined(first, second))
                    {
                        counted.phrases[number as usize] += count;
                    }
                    if count >= min_pair {
                        counted.pairs.push((key.into_owned(), count));
                    }
                }
            }
        })?;
        Ok(counted)
    }

    fn word(&mut self, word: &str, count: u64, keep: bool) {
        self.total += count;
        self.distinct += 1;
        // 2^32 words that pass a threshold do not fit into any memory, so there is always a number.
        if keep && self.words.number(word).is_some() {
            self.counts.push(count);
        }
    }

    /// How often a wanted text was seen as a word or a pair.
    pub(crate) fn count(&self, text: &str, wanted: &Vocabulary) -> u64 {
        let word = self.words.find(text).map(|number| self.counts[number as usize]);
        word.unwrap_or_else(|| wanted.find(text).map_or(0, |number| self.phrases[number as usize]))
    }

    /// Words seen at least `min` times with at most `max_chars` characters, by count descending, then by text.
    pub(crate) fn words(&self, min: u64, max_chars: usize) -> Vec<(&str, u64)> {
        let all = (0..self.words.len() as u32).map(|number| (self.words.text(number), self.counts[number as usize]));
        let mut words: Vec<(&str, u64)> = all.filter(|(word, count)| *count >= min && word.chars().count() <= max_chars).collect();
        words.sort_unstable_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
        words
    }

    /// The frequent pairs with at most `max_chars` characters, by their information descending, then by text.
    pub(crate) fn pairs(&self, max_chars: usize) -> Vec<Pair> {
        let count_of = |word: &str| self.words.find(word).map_or(1, |number| self.counts[number as usize]);
        let pair = |(key, count): &(String, u64)| {
            let (first, second) = key.split_once(char::from(BETWEEN)).unwrap_or((key, ""));
            let expected = count_of(first) as f64 * count_of(second) as f64 / self.total as f64;
            Pair { text: joined(first, second), count: *count, pmi: (*count as f64 / expected).log2() }
        };
        let mut pairs: Vec<Pair> = self.pairs.iter().map(pair).filter(|pair| pair.text.chars().count() <= max_chars).collect();
        pairs.sort_unstable_by(|a, b| b.pmi.total_cmp(&a.pmi).then_with(|| a.text.cmp(&b.text)));
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;

    #[test]
    fn frequent_words_and_pairs_and_what_is_wanted() {
        let folder = tempfile::tempdir().expect("a folder");
        let runs = Runs::new(folder.path().join("runs")).expect("fresh");
        let mut tally = Tally::new(&runs, 1 << 20);
        for text in ["new york is new", "new york", "the rare cat", "is the"] {
            text.split(' ').enumerate().try_for_each(|(index, word)| tally.add(word, 1, index > 0)).expect("counted");
        }
        tally.close(false).expect("closed");
        let mut wanted = Vocabulary::default();
        for text in ["cat", "rare cat", "dog"] {
            assert!(wanted.number(text).is_some());
        }
        let counted = Counted::read(&runs, 2, 2, &wanted).expect("read");
        assert_eq!((counted.total, counted.distinct, counted.distinct_pairs), (11, 6, 6));
        assert_eq!(counted.words(2, 9), [("new", 3), ("is", 2), ("the", 2), ("york", 2)]);
        assert_eq!(counted.words(2, 2), [("is", 2)]);
        assert_eq!(["cat", "rare cat", "dog"].map(|text| counted.count(text, &wanted)), [1, 1, 0]);
        let pairs = counted.pairs(99);
        assert_eq!((pairs.len(), pairs[0].text.as_str(), pairs[0].count), (1, "new york", 2));
        assert!((pairs[0].pmi - (2.0f64 * 11.0 / (3.0 * 2.0)).log2()).abs() < 1e-12);
    }
}
