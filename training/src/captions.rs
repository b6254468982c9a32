//! Captions that cannot be read from the archives, because what stands there is not what the manifest says.
//!
//! So it is with a selection, where a sample has the captions of its duplicates too, and with some foreign archives. They
//! are kept in memory, each distinct text once.

use std::collections::HashMap;

/// Lists of captions.
#[derive(Default)]
pub(crate) struct Captions {
    texts: String,
    /// Where each distinct text ends in `texts`.
    ends: Vec<usize>,
    /// For each list the number of its texts, then their numbers.
    lists: Vec<u32>,
    /// Numbers by hash, while lists are added.
    known: HashMap<[u8; 16], u32>,
}

impl Captions {
    /// Keeps a list; returns its number, or nothing when there are too many.
    pub fn add(&mut self, captions: &[String]) -> Option<u32> {
        let number = u32::try_from(self.lists.len()).ok()?;
        self.lists.push(u32::try_from(captions.len()).ok()?);
        for caption in captions {
            let mut name = [0; 16];
            name.copy_from_slice(&blake3::hash(caption.as_bytes()).as_bytes()[..16]);
            let next = u32::try_from(self.ends.len()).ok()?;
            let id = *self.known.entry(name).or_insert_with(|| {
                self.texts.push_str(caption);
                self.ends.push(self.texts.len());
                next
            });
            self.lists.push(id);
        }
        Some(number)
    }

    /// Gives back what only adding needs.
    pub fn close(&mut self) {
        self.known = HashMap::new();
        self.texts.shrink_to_fit();
        self.lists.shrink_to_fit();
    }

    /// The list of this number.
    pub fn get(&self, list: u32) -> impl Iterator<Item = &str> {
        let list = list as usize;
        let count = self.lists[list] as usize;
        self.lists[list + 1..][..count].iter().map(|&id| {
            let id = id as usize;
            let start = if id == 0 { 0 } else { self.ends[id - 1] };
            &self.texts[start..self.ends[id]]
        })
    }
}

/// The sum by which captions in an archive are known to be the manifest's.
pub(crate) fn captions_sum<'a>(captions: impl IntoIterator<Item = &'a str>) -> u32 {
    let mut hasher = blake3::Hasher::new();
    for caption in captions {
        hasher.update(&(caption.len() as u64).to_le_bytes()).update(caption.as_bytes());
    }
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..4]);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_and_texts_are_kept_once() {
        let list = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>();
        let mut captions = Captions::default();
        let numbers: Vec<u32> =
            [&["one", "two"][..], &[], &["two", "one", "three"]].iter().map(|texts| captions.add(&list(texts)).expect("room")).collect();
        captions.close();
        assert_eq!(captions.get(numbers[0]).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(captions.get(numbers[1]).count(), 0);
        assert_eq!(captions.get(numbers[2]).collect::<Vec<_>>(), ["two", "one", "three"]);
        assert_eq!(captions.texts, "onetwothree");
    }

    #[test]
    fn the_sum_knows_where_texts_end() {
        assert_ne!(captions_sum(["ab", "c"]), captions_sum(["a", "bc"]));
        assert_eq!(captions_sum(["ab"]), captions_sum(["ab"]));
    }
}
