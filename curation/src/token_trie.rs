//! Finds queries that stand between blanks: a trie whose steps are whole tokens.
//!
//! Most queries are one or two tokens, so a caption costs little more than one look-up per token: faster and smaller than an automaton
//! over characters. What a first token needs lies in one place, its letters included, so that a look-up is one access to memory.
//! Knows nothing of folding or scripts.

use rustc_hash::FxHashMap;

const NONE: u32 = u32::MAX;
/// Bytes of a token that fit into its place; longer ones are rare and go to a map.
const SHORT: usize = 16;

/// What is known of a token.
#[derive(Clone, Copy)]
struct Token {
    /// Its number, which is also that of the node to which it leads when it comes first.
    number: u32,
    /// The query that it is, or `NONE`.
    entry: u32,
    /// For each token that may follow it in a query, the bit of that token's number modulo 32: spares most look-ups of edges.
    followers: u32,
}

/// Where an edge leads.
#[derive(Clone, Copy)]
struct Edge {
    /// The node before in the upper half, the token in the lower.
    key: u64,
    /// Its node, numbered after all tokens' own; `NONE` marks a free place.
    node: u32,
    /// The query that ends there, or `NONE`.
    entry: u32,
}

/// A trie over tokens. Node `t` is where the first token `t` leads; deeper nodes lie behind edges.
#[derive(Default)]
pub(crate) struct TokenTrie {
    tokens: Tokens,
    edges: Edges,
    /// Deeper nodes so far.
    deeper: u32,
}

/// Deeper nodes are numbered down from here, tokens up from 0; both together are fewer.
const DEEPEST: u32 = NONE - 1;

impl TokenTrie {
    /// Adds a spaced text, which must not be empty; returns the entry that has the same text already, or `entry`.
    pub(crate) fn add(&mut self, spaced: &[u8], entry: u32) -> u32 {
        let mut parts = spaced.split(|&byte| byte == b' ');
        let first = self.tokens.number(parts.next().unwrap_or_default());
        let mut node = first;
        for part in parts {
            let token = self.tokens.number(part);
            if node == first {
                self.tokens.get_mut(spaced.split(|&byte| byte == b' ').next().unwrap_or_default()).followers |= 1 << (token % 32);
            }
            let fresh = DEEPEST - self.deeper;
            let edge = self.edges.get_or_insert(node, token, fresh);
            node = edge.node;
            self.deeper += u32::from(node == fresh);
        }
        let slot = if node == first { &mut self.tokens.get_mut(spaced).entry } else { self.edges.last_entry() };
        if *slot == NONE {
            *slot = entry;
        }
        *slot
    }

    /// Calls `found` with each entry that occurs between blanks in `text`, once per occurrence. `cut` says where the tokens lie.
    pub(crate) fn find(&self, text: &[u8], cut: impl FnOnce(&[u8], &mut dyn FnMut(usize, usize)), mut found: impl FnMut(u32)) {
        // All tokens first: their places in memory are far apart, and the processor can fetch many at a time.
        let mut tokens: Vec<Token> = Vec::with_capacity(text.len() / 4 + 8);
        cut(text, &mut |start, end| tokens.push(self.tokens.find(text, start, end)));
        for (at, token) in tokens.iter().enumerate() {
            if token.entry != NONE {
                found(token.entry);
            }
            if token.followers != 0 {
                self.follow(token, &tokens[at + 1..], &mut found);
            }
        }
    }

    /// Walks on from a first token.
    fn follow(&self, first: &Token, rest: &[Token], found: &mut impl FnMut(u32)) {
        if rest.first().is_none_or(|next| first.followers >> (next.number % 32) & 1 == 0) {
            return;
        }
        let mut node = first.number;
        for token in rest.iter().take_while(|token| token.number != NONE) {
            let Some(edge) = self.edges.get(node, token.number) else { return };
            if edge.entry != NONE {
                found(edge.entry);
            }
            node = edge.node;
        }
    }
}

/// The tokens of all queries: an open table that is at most half full.
#[derive(Default)]
struct Tokens {
    slots: Vec<Slot>,
    count: u32,
    long: FxHashMap<Box<[u8]>, Token>,
    /// Long ones too.
    numbers: u32,
}

#[derive(Clone, Copy)]
struct Slot {
    /// The token's bytes, zeros after its end.
    letters: u128,
    /// Its length; `u32::MAX` marks a free place.
    length: u32,
    token: Token,
}

const UNKNOWN: Token = Token { number: NONE, entry: NONE, followers: 0 };
const FREE: Slot = Slot { letters: 0, length: u32::MAX, token: UNKNOWN };

/// Two halves multiplied and folded.
fn mix(letters: u128, length: u32) -> usize {
    let (low, high) = (letters as u64, (letters >> 64) as u64);
    let product = u128::from(low ^ 0x9e37_79b9_7f4a_7c15) * u128::from(high ^ 0xd1b5_4a32_d192_ed03 ^ u64::from(length) << 56);
    ((product as u64) ^ (product >> 64) as u64) as usize
}

/// Up to [`SHORT`] bytes as a number; those before `start` and from `end` on do not count.
#[inline]
fn letters(text: &[u8], start: usize, end: usize) -> u128 {
    match text.get(start..start + SHORT).and_then(|sixteen| sixteen.first_chunk::<SHORT>()) {
        Some(sixteen) if end - start == SHORT => u128::from_le_bytes(*sixteen),
        Some(sixteen) => u128::from_le_bytes(*sixteen) & ((1 << (8 * (end - start))) - 1),
        None => {
            let mut bytes = [0; SHORT];
            bytes[..end - start].copy_from_slice(&text[start..end]);
            u128::from_le_bytes(bytes)
        }
    }
}

impl Tokens {
    /// What is known of the token at `start..end` of `text`.
    #[inline]
    fn find(&self, text: &[u8], start: usize, end: usize) -> Token {
        let length = end - start;
        if length > SHORT {
            return self.long.get(&text[start..end]).copied().unwrap_or(UNKNOWN);
        }
        if self.slots.is_empty() {
            return UNKNOWN;
        }
        let letters = letters(text, start, end);
        let at = self.place(letters, length as u32);
        if self.slots[at].length == u32::MAX { UNKNOWN } else { self.slots[at].token }
    }

    /// The place of a short token, or the free one where it would stand.
    #[inline]
    fn place(&self, letters: u128, length: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = mix(letters, length) & mask;
        loop {
            let slot = &self.slots[at];
            if slot.length == u32::MAX || (slot.letters == letters && slot.length == length) {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    /// The number of a token, which is added if it is new.
    fn number(&mut self, text: &[u8]) -> u32 {
        let fresh = Token { number: self.numbers, ..UNKNOWN };
        let number = if text.len() > SHORT {
            self.long.entry(text.into()).or_insert(fresh).number
        } else {
            if self.count as usize * 2 >= self.slots.len() {
                self.grow();
            }
            let (letters, length) = (letters(text, 0, text.len()), text.len() as u32);
            let at = self.place(letters, length);
            let slot = &mut self.slots[at];
            if slot.length == u32::MAX {
                *slot = Slot { letters, length, token: fresh };
                self.count += 1;
            }
            slot.token.number
        };
        self.numbers += u32::from(number == fresh.number);
        number
    }

    /// A token that was added.
    fn get_mut(&mut self, text: &[u8]) -> &mut Token {
        if text.len() > SHORT {
            return self.long.entry(text.into()).or_insert(UNKNOWN);
        }
        let at = self.place(letters(text, 0, text.len()), text.len() as u32);
        &mut self.slots[at].token
    }

    fn grow(&mut self) {
        let larger = vec![FREE; (self.slots.len() * 2).max(64)];
        for slot in std::mem::replace(&mut self.slots, larger) {
            if slot.length != u32::MAX {
                let at = self.place(slot.letters, slot.length);
                self.slots[at] = slot;
            }
        }
    }
}

/// The edges from one node by one token to the next: an open table that is at most half full.
#[derive(Default)]
struct Edges {
    slots: Vec<Edge>,
    count: usize,
    /// The place that was asked for last.
    last: usize,
}

const NO_EDGE: Edge = Edge { key: 0, node: NONE, entry: NONE };

impl Edges {
    #[inline]
    fn get(&self, node: u32, token: u32) -> Option<&Edge> {
        if self.slots.is_empty() {
            return None;
        }
        let edge = &self.slots[self.place(key(node, token))];
        (edge.node != NONE).then_some(edge)
    }

    #[inline]
    fn place(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let product = u128::from(key ^ 0x9e37_79b9_7f4a_7c15) * 0xd1b5_4a32_d192_ed03_u128;
        let mut at = ((product as u64) ^ (product >> 64) as u64) as usize & mask;
        while self.slots[at].node != NONE && self.slots[at].key != key {
            at = (at + 1) & mask;
        }
        at
    }

    fn get_or_insert(&mut self, node: u32, token: u32, fresh: u32) -> &Edge {
        if self.count * 2 >= self.slots.len() {
            let larger = vec![NO_EDGE; (self.slots.len() * 2).max(64)];
            for edge in std::mem::replace(&mut self.slots, larger) {
                if edge.node != NONE {
                    let at = self.place(edge.key);
                    self.slots[at] = edge;
                }
            }
        }
        let key = key(node, token);
        self.last = self.place(key);
        let edge = &mut self.slots[self.last];
        if edge.node == NONE {
            *edge = Edge { key, node: fresh, entry: NONE };
            self.count += 1;
        }
        edge
    }

    /// The query at the end of the edge that was asked for last.
    fn last_entry(&mut self) -> &mut u32 {
        &mut self.slots[self.last].entry
    }
}

fn key(node: u32, token: u32) -> u64 {
    u64::from(node) << 32 | u64::from(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_blanks(text: &[u8], give: &mut dyn FnMut(usize, usize)) {
        let mut start = 0;
        for part in text.split(|&byte| byte == b' ') {
            give(start, start + part.len());
            start += part.len() + 1;
        }
    }

    fn found(trie: &TokenTrie, text: &str) -> Vec<u32> {
        let mut found = Vec::new();
        trie.find(text.as_bytes(), at_blanks, |entry| found.push(entry));
        found.sort_unstable();
        found
    }

    #[test]
    fn nested_and_overlapping_entries_all_count() {
        let mut trie = TokenTrie::default();
        for (entry, text) in ["new york", "york", "new york city", "york city hall", "new"].iter().enumerate() {
            assert_eq!(trie.add(text.as_bytes(), entry as u32), entry as u32);
        }
        assert_eq!(trie.add(b"york", 9), 1);
        assert_eq!(trie.add(b"york city hall", 9), 3);
        assert_eq!(found(&trie, "the new york city hall new"), [0, 1, 2, 3, 4, 4]);
    }

    #[test]
    fn tokens_of_any_length_are_told_apart() {
        let mut trie = TokenTrie::default();
        let texts: Vec<String> = (1..40).map(|n| "a".repeat(n)).collect();
        for (entry, text) in texts.iter().enumerate() {
            assert_eq!(trie.add(text.as_bytes(), entry as u32), entry as u32);
            let pair = format!("{text} {text}");
            assert_eq!(trie.add(pair.as_bytes(), 100 + entry as u32), 100 + entry as u32);
        }
        for (entry, text) in texts.iter().enumerate() {
            assert_eq!(found(&trie, &format!("b {text}")), [entry as u32]);
            assert_eq!(found(&trie, &format!("{text} {text} c")), [entry as u32, entry as u32, 100 + entry as u32]);
        }
        assert!(found(&trie, &"a".repeat(41)).is_empty());
    }

    #[test]
    fn an_unused_trie_finds_nothing() {
        assert!(found(&TokenTrie::default(), "a b").is_empty());
    }
}
