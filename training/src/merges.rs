//! Merges learned from captions: a tokenizer of one's own language and size.
//!
//! Words are counted first, in memory that is bounded; then the most frequent pair of neighbours becomes a symbol, again
//! and again. Equal counts are decided by the order of ids, so the same captions give the same file.

use crate::Error;
use crate::clean::clean;
use crate::tokenizer::{FIRST_MERGE, HEADER, MAX_BYTES, MAX_MERGES, Tokenizer, byte_symbols};
use crate::words::words;
use flate2::{Compression, GzBuilder};
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use shards::{AtomicFile, Meter, Sample, TableReader};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Most different words that are counted, some 100 bytes each; beyond it the rarest are forgotten.
const MAX_WORDS: usize = 8_000_000;
/// Longest word that is learned from, in bytes: longer ones are no words.
const MAX_WORD: usize = 64;
/// Captions cleaned and counted at a time, by all threads.
const PIECE: usize = 1 << 14;
/// A pair that occurs less often is no pattern.
const MIN_COUNT: u64 = 2;

/// How often each word occurs.
#[derive(Default)]
pub struct WordCounts {
    counts: FxHashMap<Box<str>, u64>,
    /// Words forgotten since there were too many.
    pub forgotten: u64,
}

/// What was learned.
#[derive(Clone, Copy, Debug)]
pub struct Learned {
    /// Different words.
    pub words: usize,
    /// Merges found; fewer than asked for when no pair occurs twice any more.
    pub merges: usize,
    /// Size of the vocabulary: merges, 512 bytes, start and end.
    pub vocab_size: usize,
}

impl WordCounts {
    /// Counts the captions of the manifests' split `train`. `meter` counts rows.
    ///
    /// # Errors
    /// `Shards` when a manifest cannot be read, `NoSamples` when there is no caption.
    pub fn of_manifests(manifests: &[PathBuf], meter: &Meter) -> Result<Self, Error> {
        let mut all = WordCounts::default();
        let mut piece: Vec<String> = Vec::new();
        for manifest in manifests {
            for rows in TableReader::<Sample>::open(manifest)? {
                let rows = rows?;
                meter.add(rows.len() as u64);
                piece.extend(rows.into_iter().filter(|row| row.split == "train").flat_map(|row| row.captions));
                if piece.len() >= PIECE {
                    all.add(&piece);
                    piece.clear();
                }
            }
        }
        all.add(&piece);
        if all.counts.is_empty() {
            let place = manifests.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
            return Err(Error::NoSamples { place });
        }
        Ok(all)
    }

    /// Counts the words of these texts.
    pub fn add<T: AsRef<str> + Sync>(&mut self, texts: &[T]) {
        let count = |mut counts: FxHashMap<Box<str>, u64>, text: &T| {
            let cleaned = clean(text.as_ref(), MAX_BYTES);
            for word in words(&cleaned).filter(|word| word.len() <= MAX_WORD) {
                match counts.get_mut(word) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(word.into(), 1)),
                }
            }
            counts
        };
        let parts: Vec<FxHashMap<Box<str>, u64>> = texts.par_iter().fold(FxHashMap::default, count).collect();
        for (word, count) in parts.into_iter().flatten() {
            *self.counts.entry(word).or_default() += count;
        }
        let mut rare = 1;
        while self.counts.len() > MAX_WORDS {
            let before = self.counts.len();
            self.counts.retain(|_, count| *count > rare);
            self.forgotten += (before - self.counts.len()) as u64;
            rare *= 2;
        }
    }

    /// Learns as many merges as a vocabulary of `vocab_size` has room for and writes them to `path`, which appears whole or
    /// not at all.
    ///
    /// # Errors
    /// `Options` for a size that no vocabulary can have, `Shards` when the file cannot be written.
    pub fn learn(self, vocab_size: usize, path: &Path, meter: &Meter) -> Result<Learned, Error> {
        let most = vocab_size.checked_sub(FIRST_MERGE as usize + 2).filter(|merges| *merges <= MAX_MERGES);
        let Some(most) = most else {
            return Err(Error::Options { why: format!("a vocabulary has 514 to {} ids, not {vocab_size}", MAX_MERGES + 514) });
        };
        let words = self.counts.len();
        meter.set_total(most as u64);
        let merges = Learner::new(self.counts)?.learn(most, meter);
        write(path, &merges)?;
        Ok(Learned { words, merges: merges.len(), vocab_size: merges.len() + FIRST_MERGE as usize + 2 })
    }
}

/// Writes merges as lines of two symbols, packed.
fn write(path: &Path, merges: &[(u32, u32)]) -> Result<(), Error> {
    let letters = byte_symbols();
    let mut symbols: Vec<String> = letters.iter().map(|(_, letter)| letter.to_string()).collect();
    symbols.extend(letters.iter().map(|(_, letter)| format!("{letter}</w>")));
    let mut text = format!("{HEADER}\n");
    for &(left, right) in merges {
        let (left, right) = (&symbols[left as usize], &symbols[right as usize]);
        text.push_str(&format!("{left} {right}\n"));
        symbols.push(format!("{left}{right}"));
    }
    // No time in the header: equal merges give equal bytes.
    let io = || shards::Error::io("write", path);
    let mut packed = GzBuilder::new().mtime(0).write(AtomicFile::create(path)?, Compression::default());
    packed.write_all(text.as_bytes()).map_err(io())?;
    Ok(packed.finish().map_err(io())?.commit()?)
}

/// Words as rows of symbols, and where each pair of neighbours occurs.
struct Learner {
    words: Vec<(Vec<u32>, u64)>,
    counts: FxHashMap<(u32, u32), i64>,
    places: FxHashMap<(u32, u32), Vec<u32>>,
    /// Counts as they were when they were last put here; old ones are noticed when they come out.
    heap: BinaryHeap<(i64, Reverse<(u32, u32)>)>,
    /// The bytes of each symbol, and whether it ends a word.
    texts: Vec<Vec<u8>>,
    made: FxHashSet<Vec<u8>>,
}

impl Learner {
    fn new(counts: FxHashMap<Box<str>, u64>) -> Result<Self, Error> {
        let bytes_only = Tokenizer::parse(HEADER).map_err(|why| Error::Merges { path: PathBuf::new(), why })?;
        let mut sorted: Vec<(Box<str>, u64)> = counts.into_iter().collect();
        sorted.par_sort();
        let mut learner = Learner {
            words: Vec::with_capacity(sorted.len()),
            counts: FxHashMap::default(),
            places: FxHashMap::default(),
            heap: BinaryHeap::new(),
            texts: byte_symbols().iter().map(|(byte, _)| vec![*byte]).collect(),
            made: FxHashSet::default(),
        };
        // A blank ends a word; no symbol inside one holds it.
        learner.texts.extend(byte_symbols().iter().map(|(byte, _)| vec![*byte, b' ']));
        learner.made.extend(learner.texts.iter().cloned());
        for (word, count) in sorted {
            let mut symbols = Vec::with_capacity(word.len());
            bytes_only.symbols(&word, &mut symbols);
            let number = learner.words.len() as u32;
            for pair in symbols.windows(2) {
                learner.see((pair[0], pair[1]), count as i64, number);
            }
            learner.words.push((symbols, count));
        }
        learner.heap = learner.counts.iter().map(|(pair, count)| (*count, Reverse(*pair))).collect();
        Ok(learner)
    }

    fn see(&mut self, pair: (u32, u32), count: i64, word: u32) {
        *self.counts.entry(pair).or_default() += count;
        let places = self.places.entry(pair).or_default();
        if places.last() != Some(&word) {
            places.push(word);
        }
    }

    fn learn(mut self, most: usize, meter: &Meter) -> Vec<(u32, u32)> {
        let mut merges = Vec::new();
        while merges.len() < most {
            let Some((count, Reverse(pair))) = self.heap.pop() else { break };
            match self.counts.get(&pair) {
                Some(&now) if now == count => {}
                Some(&now) if now >= MIN_COUNT as i64 => {
                    self.heap.push((now, Reverse(pair)));
                    continue;
                }
                _ => continue,
            }
            if count < MIN_COUNT as i64 {
                break;
            }
            let text = [&self.texts[pair.0 as usize][..], &self.texts[pair.1 as usize][..]].concat();
            // The same text as another symbol, from other halves: it would have two ids.
            if !self.made.insert(text.clone()) {
                self.counts.remove(&pair);
                continue;
            }
            self.texts.push(text);
            self.merge(pair, FIRST_MERGE + merges.len() as u32);
            merges.push(pair);
            meter.add(1);
        }
        merges
    }

    /// Replaces a pair by its symbol wherever it occurs and counts the neighbours anew.
    fn merge(&mut self, pair: (u32, u32), symbol: u32) {
        let mut changed = FxHashSet::default();
        for number in self.places.remove(&pair).unwrap_or_default() {
            let (symbols, count) = std::mem::take(&mut self.words[number as usize]);
            let mut merged = Vec::with_capacity(symbols.len());
            let mut at = 0;
            while at < symbols.len() {
                let here = symbols[at..].starts_with(&[pair.0, pair.1]);
                merged.push(if here { symbol } else { symbols[at] });
                at += 1 + usize::from(here);
            }
            if merged.len() < symbols.len() {
                for old in symbols.windows(2).map(|pair| (pair[0], pair[1])) {
                    if let Some(now) = self.counts.get_mut(&old) {
                        *now -= count as i64;
                    }
                }
                for new in merged.windows(2).map(|pair| (pair[0], pair[1])) {
                    // A pair that was given up stays so.
                    if new.0 == symbol || new.1 == symbol {
                        self.see(new, count as i64, number);
                        changed.insert(new);
                    } else if let Some(now) = self.counts.get_mut(&new) {
                        *now += count as i64;
                    }
                }
            }
            self.words[number as usize] = (merged, count);
        }
        self.counts.remove(&pair);
        self.heap.extend(changed.into_iter().filter_map(|pair| self.counts.get(&pair).map(|count| (*count, Reverse(pair)))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn learned(texts: &[&str], merges: usize) -> (Vec<(u32, u32)>, Tokenizer) {
        let mut counts = WordCounts::default();
        counts.add(texts);
        let merges = Learner::new(counts.counts.clone()).expect("a learner").learn(merges, &Meter::default());
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("m.gz");
        let said = counts.learn(514 + merges.len(), &path, &Meter::default()).expect("written");
        assert_eq!((said.merges, said.vocab_size), (merges.len(), 514 + merges.len()));
        (merges, Tokenizer::read(&path).expect("read"))
    }

    #[test]
    fn frequent_words_become_one_symbol() {
        let texts = ["low low low low low lower lower newest newest newest newest newest newest widest widest widest"];
        let (merges, tokenizer) = learned(&texts, 12);
        assert_eq!(merges.len(), 12);
        for word in ["low", "newest"] {
            assert_eq!(tokenizer.encode(word, 77).len(), 3, "{word}");
        }
        assert!(tokenizer.encode("wide", 77).len() > 3, "a word that was not there has more tokens");
        assert_eq!(tokenizer.decode(&tokenizer.encode("lowest newer, \u{65e5}\u{672c}", 77)), "lowest newer , \u{65e5}\u{672c}");
        assert!(learned(&texts, 4000).0.len() < 60, "nothing is learned from what occurs once");
    }

    #[test]
    fn sizes_without_room_are_refused() {
        let counts = WordCounts::default();
        assert!(matches!(counts.learn(513, Path::new("/nowhere/m.gz"), &Meter::default()), Err(Error::Options { .. })));
    }

    /// Merges found by counting everything anew after each one.
    fn plainly(texts: &[String], most: usize) -> Vec<(u32, u32)> {
        let mut counts = WordCounts::default();
        counts.add(texts);
        let learner = Learner::new(counts.counts).expect("a learner");
        let (mut rows, mut symbols) = (learner.words, learner.texts);
        let mut merges = Vec::new();
        while merges.len() < most {
            let mut pairs: BTreeMap<(u32, u32), u64> = BTreeMap::new();
            for (row, count) in &rows {
                row.windows(2).for_each(|pair| *pairs.entry((pair[0], pair[1])).or_default() += count);
            }
            let joined = |pair: &(u32, u32), symbols: &[Vec<u8>]| [&symbols[pair.0 as usize][..], &symbols[pair.1 as usize][..]].concat();
            pairs.retain(|pair, _| !symbols.contains(&joined(pair, &symbols)));
            let Some((pair, count)) = pairs.iter().max_by_key(|(pair, count)| (**count, Reverse(**pair))) else { break };
            if *count < MIN_COUNT {
                break;
            }
            let symbol = symbols.len() as u32;
            symbols.push(joined(pair, &symbols));
            for (row, _) in &mut rows {
                let mut at = 0;
                while at + 1 < row.len() {
                    if (row[at], row[at + 1]) == *pair {
                        row.splice(at..at + 2, [symbol]);
                    }
                    at += 1;
                }
            }
            merges.push(*pair);
        }
        merges
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equal_to_counting_anew(texts in prop::collection::vec("[abc ]{0,30}", 1..8)) {
            let mut counts = WordCounts::default();
            counts.add(&texts);
            let fast = Learner::new(counts.counts).expect("a learner").learn(30, &Meter::default());
            prop_assert_eq!(fast, plainly(&texts, 30));
        }
    }
}
