//! Texts numbered 0, 1, 2... in the order in which they are first seen, packed into one buffer.

use hashbrown::HashTable;
use std::hash::BuildHasher;

/// A set of texts, each with a number. About 40 bytes a text beside its own bytes, twice as many while it grows.
#[derive(Default)]
pub(crate) struct Vocabulary {
    bytes: String,
    /// Where each text ends in `bytes`; it begins where the one before ends.
    ends: Vec<u64>,
    numbers: HashTable<Entry>,
    hasher: rustc_hash::FxBuildHasher,
}

/// Bytes of a text that stand in its entry.
const HEAD: usize = 11;

/// A text in the table: most are so short that the table alone tells whether it is the one that is looked for.
#[derive(Clone, Copy)]
struct Entry {
    number: u32,
    /// Its length in bytes, 255 for all longer ones.
    length: u8,
    /// Its first bytes, zeros behind the last.
    head: [u8; HEAD],
}

impl Entry {
    fn new(text: &str, number: u32) -> Self {
        let mut head = [0; HEAD];
        let short = text.len().min(HEAD);
        head[..short].copy_from_slice(&text.as_bytes()[..short]);
        Entry { number, length: text.len().min(255) as u8, head }
    }

    /// Whether two entries may be of the same text; they are if it has no more than [`HEAD`] bytes.
    fn resembles(&self, other: &Entry) -> bool {
        self.head == other.head && self.length == other.length
    }
}

impl Vocabulary {
    /// Number of texts.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all texts together.
    pub(crate) fn letters(&self) -> usize {
        self.bytes.len()
    }

    /// The text of a number that [`Vocabulary::number`] gave out.
    pub(crate) fn text(&self, number: u32) -> &str {
        slice(&self.bytes, &self.ends, number)
    }

    /// The number of `text` if it is known.
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.find_entry(self.hasher.hash_one(text), text, &Entry::new(text, 0))
    }

    fn find_entry(&self, hash: u64, text: &str, sought: &Entry) -> Option<u32> {
        let same = |entry: &Entry| entry.resembles(sought) && (text.len() <= HEAD || self.text(entry.number) == text);
        self.numbers.find(hash, same).map(|entry| entry.number)
    }

    /// The number of `text`, which is added if it is new; `None` when all 2^32 - 1 numbers are taken.
    pub(crate) fn number(&mut self, text: &str) -> Option<u32> {
        self.number_of(self.hasher.hash_one(text), text)
    }

    fn number_of(&mut self, hash: u64, text: &str) -> Option<u32> {
        let mut entry = Entry::new(text, 0);
        if let Some(number) = self.find_entry(hash, text, &entry) {
            return Some(number);
        }
        entry.number = u32::try_from(self.ends.len()).ok().filter(|&number| number < u32::MAX)?;
        let (bytes, ends, hasher) = (&self.bytes, &self.ends, &self.hasher);
        self.numbers.insert_unique(hash, entry, |other| hasher.hash_one(slice(bytes, ends, other.number)));
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len() as u64);
        Some(entry.number)
    }
}

/// The texts met last, each with its number and how often it was met, in so little memory that it stays in the processor's cache: most
/// words of a text are among a few thousand. Must go with one vocabulary and its counts.
pub(crate) struct Recent {
    slots: Vec<Slot>,
    hasher: rustc_hash::FxBuildHasher,
}

/// Slots: 512 KiB. A power of two.
const SLOTS: usize = 1 << 14;
/// The longest text that is remembered, in bytes.
const SHORT: usize = 19;

#[derive(Clone, Copy)]
struct Slot {
    /// What was not yet added to the counts.
    times: u64,
    number: u32,
    length: u8,
    text: [u8; SHORT],
}

impl Default for Recent {
    fn default() -> Self {
        // No text has this length, so nothing is found in an empty slot.
        let empty = Slot { times: 0, number: 0, length: u8::MAX, text: [0; SHORT] };
        Recent { slots: vec![empty; SLOTS], hasher: Default::default() }
    }
}

impl Recent {
    /// Counts `text` in `words`, where it is added if it is new, and gives its number; `None` as [`Vocabulary::number`].
    pub(crate) fn add(&mut self, text: &str, times: u64, words: &mut Vocabulary, counts: &mut Vec<u64>) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        let slot = &mut self.slots[(hash >> 20) as usize % SLOTS];
        if slot.length as usize == text.len() && &slot.text[..text.len()] == text.as_bytes() {
            slot.times += times;
            return Some(slot.number);
        }
        let number = words.number_of(hash, text)?;
        counts.resize(words.len(), 0);
        if text.len() > SHORT {
            counts[number as usize] += times;
            return Some(number);
        }
        if slot.times > 0 {
            counts[slot.number as usize] += slot.times;
        }
        (slot.times, slot.number, slot.length) = (times, number, text.len() as u8);
        slot.text[..text.len()].copy_from_slice(text.as_bytes());
        Some(number)
    }

    /// Adds what is not in the counts yet, and forgets all texts.
    pub(crate) fn settle(&mut self, counts: &mut [u64]) {
        for slot in &mut self.slots {
            if slot.times > 0 {
                counts[slot.number as usize] += slot.times;
            }
            (slot.times, slot.length) = (0, u8::MAX);
        }
    }
}

fn slice<'a>(bytes: &'a str, ends: &[u64], number: u32) -> &'a str {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends[number - 1] };
    &bytes[start as usize..ends[number] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_counted_under_its_own_number() {
        let (mut words, mut recent, mut counts) = (Vocabulary::default(), Recent::default(), Vec::new());
        for round in 0..2 {
            for i in 0..50_000u32 {
                let text = if i % 9 == 0 { format!("a text too long to remember {i}") } else { format!("{i}") };
                for times in 1..3 {
                    assert_eq!(recent.add(&text, times, &mut words, &mut counts), Some(i), "round {round}");
                }
            }
        }
        recent.settle(&mut counts);
        assert_eq!(counts, vec![6; 50_000]);
        assert_eq!(recent.add("1", 1, &mut words, &mut counts), Some(1));
    }

    #[test]
    fn texts_that_begin_alike_are_told_apart() {
        let mut vocabulary = Vocabulary::default();
        let (long, longer) = ("elephants ".repeat(40), "elephants ".repeat(41));
        let texts = ["elephant", "elephant\0", "elephantine rock", "elephantine rocks", long.as_str(), longer.as_str()];
        for _ in 0..2 {
            assert_eq!(texts.map(|text| vocabulary.number(text)), [0, 1, 2, 3, 4, 5].map(Some));
        }
        assert_eq!(vocabulary.find("elephantine rock!"), None);
    }

    #[test]
    fn numbers_follow_first_sight() {
        let mut vocabulary = Vocabulary::default();
        for round in 0..2 {
            for i in 0..2000u32 {
                let text = if i == 7 { String::new() } else { format!("é{i}") };
                assert_eq!(vocabulary.number(&text), Some(i), "round {round}");
            }
        }
        assert_eq!(vocabulary.len(), 2000);
        assert_eq!(vocabulary.text(1999), "é1999");
        assert_eq!(vocabulary.find(""), Some(7));
        assert_eq!(vocabulary.find("é2000"), None);
    }
}
