//! Finds queries that stand between blanks: a trie whose steps are whole tokens.
//!
//! Most queries are one or two tokens, so a caption costs little more than one look-up per token: faster and smaller than
//! an automaton over characters. Knows nothing of folding or scripts.

use crate::vocabulary::Vocabulary;
use rustc_hash::FxHashMap;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Node {
    /// The query that ends here, or `NONE`.
    entry: u32,
    /// Whether any edge leaves: spares the look-up of an edge where none can be.
    inner: bool,
}

/// A trie over tokens. Node `t` is where the first token `t` leads; deeper nodes lie behind `edges`.
#[derive(Default)]
pub(crate) struct TokenTrie {
    tokens: Vocabulary,
    /// The node of each token when it comes first, or `NONE`.
    first: Vec<u32>,
    nodes: Vec<Node>,
    edges: FxHashMap<(u32, u32), u32>,
}

impl TokenTrie {
    /// Adds a spaced text, which must not be empty; returns the entry that has the same text already, or `entry`.
    pub(crate) fn add(&mut self, spaced: &str, entry: u32) -> u32 {
        let mut at = NONE;
        for token in spaced.split(' ') {
            // The callers number queries with u32, and a query has few tokens: numbers cannot run out before ids do.
            let Some(token) = self.tokens.number(token) else { return entry };
            if token as usize >= self.first.len() {
                self.first.resize(token as usize + 1, NONE);
            }
            let fresh = self.nodes.len() as u32;
            let slot = match at {
                NONE => &mut self.first[token as usize],
                node => {
                    self.nodes[node as usize].inner = true;
                    self.edges.entry((node, token)).or_insert(NONE)
                }
            };
            if *slot == NONE {
                *slot = fresh;
                self.nodes.push(Node { entry: NONE, inner: false });
            }
            at = *slot;
        }
        match self.nodes.get_mut(at as usize) {
            Some(node) if node.entry == NONE => node.entry = entry,
            Some(node) => return node.entry,
            None => {}
        }
        entry
    }

    /// Calls `found` with each entry that occurs in the spaced caption, once per occurrence.
    pub(crate) fn find(&self, spaced: &str, mut found: impl FnMut(u32)) {
        if self.nodes.is_empty() {
            return;
        }
        let tokens: Vec<u32> = spaced.split(' ').map(|token| self.tokens.find(token).unwrap_or(NONE)).collect();
        for (i, &first) in tokens.iter().enumerate() {
            let mut at = if first == NONE { NONE } else { self.first[first as usize] };
            for &token in &tokens[i + 1..] {
                let Some(node) = self.nodes.get(at as usize) else { break };
                self.report(node, &mut found);
                at = if node.inner && token != NONE { self.edges.get(&(at, token)).copied().unwrap_or(NONE) } else { NONE };
            }
            if let Some(node) = self.nodes.get(at as usize) {
                self.report(node, &mut found);
            }
        }
    }

    fn report(&self, node: &Node, found: &mut impl FnMut(u32)) {
        if node.entry != NONE {
            found(node.entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_and_overlapping_entries_all_count() {
        let mut trie = TokenTrie::default();
        for (entry, text) in ["new york", "york", "new york city", "york city hall", "new"].iter().enumerate() {
            assert_eq!(trie.add(text, entry as u32), entry as u32);
        }
        assert_eq!(trie.add("york", 9), 1);
        let mut found = Vec::new();
        trie.find("the new york city hall new", |entry| found.push(entry));
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2, 3, 4, 4]);
    }

    #[test]
    fn an_unused_trie_finds_nothing() {
        TokenTrie::default().find("a b", |entry| panic!("found {entry}"));
    }
}
