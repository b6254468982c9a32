//! Makes one list of what several sources propose: each text once, each source within its quota, in an order that depends on
//! nothing but the input.
//!
//! Quotas are shares of 500,000 as published for MetaCLIP (arXiv 2309.16671), scaled to the limit: numbers 100, words 251,465,
//! bigrams 100,646, titles 61,235, WordNet the rest. Added queries come first and have no quota. What a source leaves of its quota goes
//! to words, bigrams, titles and WordNet, in that order, as far as they have more. A text that several sources propose is kept
//! for the first that has room for it.

use crate::vocabulary::Vocabulary;
use crate::{CUT_ID, Query};

/// Where a query comes from, in the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A file of the user's.
    Added,
    /// 0 to 99.
    Number,
    /// A word of the dumps.
    Word,
    /// Two words in a row.
    Bigram,
    /// An article's title.
    Title,
    /// A synset's first lemma.
    WordNet,
}

impl Source {
    /// All sources in the order of the list.
    pub const ALL: [Source; 6] = [Source::Added, Source::Number, Source::Word, Source::Bigram, Source::Title, Source::WordNet];

    /// The name in the column `source`.
    pub fn name(self) -> &'static str {
        match self {
            Source::Added => "added",
            Source::Number => "number",
            Source::Word => "word",
            Source::Bigram => "bigram",
            Source::Title => "title",
            Source::WordNet => "wordnet",
        }
    }

    /// Entries of the published list; `usize::MAX` for no quota of its own.
    fn published(self) -> usize {
        match self {
            Source::Number => 100,
            Source::Word => 251_465,
            Source::Bigram => 100_646,
            Source::Title => 61_235,
            Source::Added | Source::WordNet => usize::MAX,
        }
    }
}

/// Entries of the published list together.
const PUBLISHED: usize = 500_000;

/// A source's share of a list of `limit` entries.
pub(crate) fn quota(source: Source, limit: usize) -> usize {
    match source.published() {
        usize::MAX => limit,
        // 128 bits, as a limit may be any number.
        share => (share as u128 * limit as u128 / PUBLISHED as u128) as usize,
    }
}

/// What is known of a text.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    count: u64,
    pmi: Option<f64>,
    views: Option<u64>,
}

/// A text that a source proposes.
#[derive(Default)]
pub(crate) struct Proposal<'a> {
    pub(crate) text: &'a str,
    pub(crate) count: u64,
    pub(crate) pmi: Option<f64>,
    pub(crate) views: Option<u64>,
    /// Why it is not to be kept for this source.
    pub(crate) cut: Option<&'static str>,
}

/// All proposals of all sources.
#[derive(Default)]
pub(crate) struct Proposals {
    texts: Vocabulary,
    known: Vec<Known>,
    /// For each source its texts in order, with why they are cut.
    sources: [Vec<(u32, Option<&'static str>)>; 6],
}

impl Proposals {
    /// Adds a source's next proposal; the best must come first.
    pub(crate) fn push(&mut self, source: Source, proposal: Proposal<'_>) {
        // Lists of 2^32 texts do not fit into any memory, so there is always a number.
        let Some(number) = self.texts.number(proposal.text) else { return };
        if number as usize == self.known.len() {
            self.known.push(Known::default());
        }
        let known = &mut self.known[number as usize];
        known.count = known.count.max(proposal.count);
        known.pmi = known.pmi.or(proposal.pmi);
        known.views = known.views.or(proposal.views);
        self.sources[source as usize].push((number, proposal.cut));
    }

    /// The rows of a list of at most `limit` entries: kept ones by source and rank, then cut ones in the same order.
    pub(crate) fn into_rows(self, limit: usize) -> Vec<Query> {
        let limit = limit.min(CUT_ID as usize);
        let kept = self.choose(limit);
        let mut rows = Vec::with_capacity(self.known.len());
        let mut done = vec![false; self.known.len()];
        for keep in [true, false] {
            for source in Source::ALL {
                for &(number, cut) in &self.sources[source as usize] {
                    let chosen = kept[number as usize];
                    if done[number as usize] || chosen.is_some() != keep || chosen.is_some_and(|chosen| chosen != source) {
                        continue;
                    }
                    done[number as usize] = true;
                    let Known { count, pmi, views } = self.known[number as usize];
                    let id = if keep { rows.len() as u32 } else { CUT_ID };
                    let cut = if keep { "" } else { cut.unwrap_or("limit") };
                    let (text, source, cut) = (self.texts.text(number).to_string(), source.name().to_string(), cut.to_string());
                    rows.push(Query { id, text, source, count, pmi, views, cut });
                }
            }
        }
        rows
    }

    /// For each text the source it is kept for.
    fn choose(&self, limit: usize) -> Vec<Option<Source>> {
        let mut kept = vec![None; self.known.len()];
        let mut room = limit;
        let mut take = |source: Source, quota: usize, room: &mut usize| {
            let mut quota = quota.min(*room);
            for &(number, cut) in &self.sources[source as usize] {
                if quota == 0 {
                    return;
                }
                if cut.is_none() && kept[number as usize].is_none() {
                    kept[number as usize] = Some(source);
                    quota -= 1;
                    *room -= 1;
                }
            }
        };
        for source in Source::ALL {
            take(source, quota(source, limit), &mut room);
        }
        // Numbers beyond their share would push words out of a short list, so they get nothing of what is left.
        for source in [Source::Word, Source::Bigram, Source::Title, Source::WordNet] {
            take(source, room, &mut room);
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(sources: &[(Source, &[&str])], limit: usize) -> Vec<(u32, String, String, String)> {
        let mut proposals = Proposals::default();
        for (source, texts) in sources {
            for text in *texts {
                let cut = text.ends_with('!').then_some("rank");
                proposals.push(*source, Proposal { text, count: 1, cut, ..Proposal::default() });
            }
        }
        proposals.into_rows(limit).into_iter().map(|row| (row.id, row.text, row.source, row.cut)).collect()
    }

    #[test]
    fn quotas_are_the_published_ones() {
        let quotas = Source::ALL.map(|source| quota(source, 500_000));
        assert_eq!(quotas, [500_000, 100, 251_465, 100_646, 61_235, 500_000]);
        assert_eq!(500_000 - quotas[1..5].iter().sum::<usize>(), 86_554);
        assert_eq!(quota(Source::Word, 1000), 502);
        assert_eq!(quota(Source::Word, usize::MAX), (usize::MAX as u128 * 251_465 / 500_000) as usize);
    }

    #[test]
    fn each_text_once_for_the_first_source_with_room() {
        use Source::*;
        let row = |id, text: &str, source: &str, cut: &str| (id, text.to_string(), source.to_string(), cut.to_string());
        let words: &[&str] = &["the", "cat", "dog", "cow"];
        let found = rows(&[(Added, &["dog"]), (Word, words), (Bigram, &["a b", "x y!"]), (Title, &["cow", "cat"])], 4);
        let expected = [
            row(0, "dog", "added", ""),
            row(1, "the", "word", ""),
            row(2, "cat", "word", ""),
            row(3, "cow", "word", ""),
            row(CUT_ID, "a b", "bigram", "limit"),
            row(CUT_ID, "x y!", "bigram", "rank"),
        ];
        assert_eq!(found, expected);
        // 10 places: 5 for words, 2 for bigrams, 1 for titles, WordNet the rest.
        let all: Vec<String> = (0..20).map(|i| format!("w{i:02}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let found = rows(&[(Word, &all), (Bigram, &all[5..]), (Title, &all[7..9]), (WordNet, &["w07", "z"])], 10);
        let kept: Vec<(&str, &str)> = found[..10].iter().map(|(_, text, source, _)| (text.as_str(), source.as_str())).collect();
        let words = ["w00", "w01", "w02", "w03", "w04", "w08"].map(|text| (text, "word"));
        let rest = [("w05", "bigram"), ("w06", "bigram"), ("w07", "title"), ("z", "wordnet")];
        assert_eq!(kept, [&words[..], &rest].concat());
        assert_eq!((found.len(), &found[10].1, &found[10].3), (21, &"w09".to_string(), &"limit".to_string()));
    }

    proptest! {
        #[test]
        fn a_list_is_as_long_as_it_can_be(
            sources in proptest::collection::vec(proptest::collection::vec("[a-h]{1,2}", 0..30), 6),
            limit in 0..60usize,
        ) {
            let mut proposals = Proposals::default();
            let mut other = std::collections::BTreeSet::new();
            for (source, texts) in Source::ALL.into_iter().zip(&sources) {
                for text in texts {
                    proposals.push(source, Proposal { text, ..Proposal::default() });
                    other.insert(text.clone());
                }
            }
            let rows = proposals.into_rows(limit);
            let kept = rows.iter().take_while(|row| row.cut.is_empty()).count();
            prop_assert_eq!(rows.len(), other.len());
            let texts: std::collections::BTreeSet<String> = rows.iter().map(|row| row.text.clone()).collect();
            prop_assert_eq!(texts.len(), rows.len());
            prop_assert!(rows[..kept].iter().enumerate().all(|(place, row)| row.id as usize == place));
            prop_assert!(rows[kept..].iter().all(|row| row.id == CUT_ID && row.cut == "limit"));
            // Numbers may be left out of a list that has room: they have their quota and no more.
            let numbers = rows[kept..].iter().filter(|row| row.source == "number").count();
            prop_assert!(kept == limit || kept + numbers == rows.len());
        }
    }
}
