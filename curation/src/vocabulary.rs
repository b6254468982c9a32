//! Texts numbered 0, 1, 2... in the order in which they are first seen, packed into one buffer.

use hashbrown::HashTable;
use std::hash::BuildHasher;

/// A set of texts, each with a number. About 10 bytes a text beside its own bytes.
#[derive(Default)]
pub(crate) struct Vocabulary {
    bytes: String,
    /// Where each text ends in `bytes`; it begins where the one before ends.
    ends: Vec<u64>,
    numbers: HashTable<u32>,
    hasher: rustc_hash::FxBuildHasher,
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
        self.numbers.find(self.hasher.hash_one(text), |&number| self.text(number) == text).copied()
    }

    /// The number of `text`, which is added if it is new; `None` when all 2^32 - 1 numbers are taken.
    pub(crate) fn number(&mut self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        let (bytes, ends, hasher) = (&self.bytes, &self.ends, &self.hasher);
        if let Some(&number) = self.numbers.find(hash, |&number| slice(bytes, ends, number) == text) {
            return Some(number);
        }
        let number = u32::try_from(self.ends.len()).ok().filter(|&number| number < u32::MAX)?;
        self.numbers.insert_unique(hash, number, |&other| hasher.hash_one(slice(bytes, ends, other)));
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len() as u64);
        Some(number)
    }
}

/// The texts met last, each with its number, in so little memory that it stays in the processor's cache: most words of a text are
/// among a few thousand. Must go with one vocabulary.
pub(crate) struct Recent {
    slots: Vec<Slot>,
    hasher: rustc_hash::FxBuildHasher,
}

/// Slots: 450 KiB. A power of two.
const SLOTS: usize = 1 << 14;
/// The longest text that is remembered, in bytes.
const SHORT: usize = 22;

#[derive(Clone, Copy)]
struct Slot {
    number: u32,
    length: u8,
    text: [u8; SHORT],
}

impl Default for Recent {
    fn default() -> Self {
        // No text has this length, so nothing is found in an empty slot.
        let empty = Slot { number: 0, length: u8::MAX, text: [0; SHORT] };
        Recent { slots: vec![empty; SLOTS], hasher: Default::default() }
    }
}

impl Recent {
    /// The number of `text` in `words`, where it is added if it is new; `None` as [`Vocabulary::number`].
    pub(crate) fn number(&mut self, text: &str, words: &mut Vocabulary) -> Option<u32> {
        if text.len() > SHORT {
            return words.number(text);
        }
        let slot = &mut self.slots[(self.hasher.hash_one(text) >> 20) as usize % SLOTS];
        if slot.length as usize == text.len() && &slot.text[..text.len()] == text.as_bytes() {
            return Some(slot.number);
        }
        let number = words.number(text)?;
        (slot.number, slot.length) = (number, text.len() as u8);
        slot.text[..text.len()].copy_from_slice(text.as_bytes());
        Some(number)
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
    fn what_is_remembered_has_its_own_number() {
        let (mut words, mut recent) = (Vocabulary::default(), Recent::default());
        for round in 0..2 {
            for i in 0..50_000u32 {
                let text = if i % 9 == 0 { format!("a text too long to remember {i}") } else { format!("{i}") };
                assert_eq!(recent.number(&text, &mut words), Some(i), "round {round}");
            }
        }
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
