//! Finds queries in scripts that are written without blanks: a trie whose steps are characters.
//!
//! A query comes here when one of its ends is free by the rule ([`Rule::is_free`]): nothing has to stand beside it there, at
//! the other end a blank or the caption's end must. Costs at most the longest query's length per character of the caption.

use crate::Rule;
use rustc_hash::FxHashMap;

const NONE: u32 = u32::MAX;
const ROOT: u32 = 0;

/// A trie over characters.
pub(crate) struct DenseTrie {
    rule: Rule,
    /// The query that ends at each node, or `NONE`. Node 0 is the root.
    entries: Vec<u32>,
    edges: FxHashMap<(u32, char), u32>,
}

impl DenseTrie {
    /// An empty trie for queries of this rule.
    pub(crate) fn new(rule: Rule) -> Self {
        DenseTrie { rule, entries: vec![NONE], edges: FxHashMap::default() }
    }

    /// Whether it has no query.
    pub(crate) fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// Whether a text belongs into this trie rather than among the tokens.
    pub(crate) fn takes(&self, text: &str) -> bool {
        let mut ends = text.chars().next().into_iter().chain(text.chars().next_back());
        ends.any(|end| self.rule.is_free(end))
    }

    /// Adds a spaced text; returns the entry that has the same text already, or `entry`.
    pub(crate) fn add(&mut self, spaced: &str, entry: u32) -> u32 {
        let mut at = ROOT;
        for c in spaced.chars() {
            let fresh = self.entries.len() as u32;
            at = *self.edges.entry((at, c)).or_insert(fresh);
            if at == fresh {
                self.entries.push(NONE);
            }
        }
        let slot = &mut self.entries[at as usize];
        if *slot == NONE {
            *slot = entry;
        }
        *slot
    }

    /// Calls `found` with each entry that occurs in the spaced caption, once per occurrence.
    pub(crate) fn find(&self, spaced: &str, mut found: impl FnMut(u32)) {
        if self.edges.is_empty() {
            return;
        }
        let mut before = ' ';
        for (start, first) in spaced.char_indices() {
            if before == ' ' || self.rule.is_free(first) {
                self.find_at(&spaced[start..], &mut found);
            }
            before = first;
        }
    }

    /// Reports the entries with which `rest` begins.
    fn find_at(&self, rest: &str, found: &mut impl FnMut(u32)) {
        let mut at = ROOT;
        let mut chars = rest.chars().peekable();
        while let Some(c) = chars.next() {
            match self.edges.get(&(at, c)) {
                Some(&next) => at = next,
                None => return,
            }
            let entry = self.entries[at as usize];
            if entry != NONE && (chars.peek().is_none_or(|&next| next == ' ') || self.rule.is_free(c)) {
                found(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_asked_only_beside_other_letters() {
        let mut trie = DenseTrie::new(Rule::Folded);
        for (entry, text) in ["猫", "黒い猫", "tシャツ", "シャツx"].iter().enumerate() {
            assert!(trie.takes(text));
            assert_eq!(trie.add(text, entry as u32), entry as u32);
        }
        assert!(!trie.takes("aのb"));
        let find = |caption: &str| {
            let mut found = Vec::new();
            trie.find(caption, |entry| found.push(entry));
            found
        };
        assert_eq!(find("大きな黒い猫です"), [1, 0]);
        assert!(find("赤いtシャツ").is_empty());
        assert_eq!(find("赤い tシャツを"), [2]);
        assert_eq!(find("赤いシャツx"), [3]);
        assert!(find("赤いシャツxl").is_empty());
    }
}
