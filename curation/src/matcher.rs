//! Says which queries a caption holds.
//!
//! The rules are written down in `rule.rs`; the list says which one it is meant for. Every query found counts, nested and overlapping ones too, each once.

use crate::dense_trie::DenseTrie;
use crate::token_trie::TokenTrie;
use crate::{CUT_ID, Error, Query, Rule, rule};
use shards::TableReader;
use std::path::Path;

const NONE: u32 = u32::MAX;

/// All queries of a list, ready to be found in captions. One is shared by all threads.
///
/// 500,000 queries of one or two words take about 100 MB.
pub struct Matcher {
    rule: Rule,
    texts: Vec<String>,
    tokens: TokenTrie,
    dense: DenseTrie,
    /// For each query the one before it with the same spaced text, or `NONE`: all of them count. Only the last is in a trie.
    twins: Vec<u32>,
    /// Whether any query has one; with the published rules few lists do.
    has_twins: bool,
}

impl Matcher {
    /// Reads the kept rows of a query list.
    ///
    /// # Errors
    /// `Shards` when the table cannot be read, `QueryList` when it names no known matching rule or its ids are not
    /// 0, 1, 2... in the order of rows.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |why: String| Error::QueryList { path: path.to_path_buf(), why };
        let reader = TableReader::<Query>::open(path)?;
        let rule = reader.note("match").unwrap_or_default().parse().map_err(wrong)?;
        let mut texts = Vec::new();
        for batch in reader {
            for row in batch?.into_iter().filter(|row| row.cut.is_empty()) {
                if row.id == CUT_ID || row.id as usize != texts.len() {
                    return Err(wrong(format!("expected id {} for {:?}, found {}", texts.len(), row.text, row.id)));
                }
                texts.push(row.text);
            }
        }
        Ok(Self::from_texts(texts, rule))
    }

    /// Makes a matcher of texts whose ids are their positions. A blank text never matches.
    ///
    /// # Panics
    /// When there are 2^31 texts or more: ids are `u32`, with a bit to spare.
    pub fn from_texts(texts: Vec<String>, rule: Rule) -> Self {
        assert!(texts.len() < 1 << 31, "{} queries are more than ids", texts.len());
        let (tokens, dense, twins) = (TokenTrie::default(), DenseTrie::new(rule), vec![NONE; texts.len()]);
        let mut matcher = Matcher { rule, texts: Vec::new(), tokens, dense, twins, has_twins: false };
        for (id, text) in texts.iter().enumerate() {
            let id = id as u32;
            let text = rule.query(text);
            if text.trim().is_empty() {
                continue;
            }
            let first = if matcher.dense.takes(&text) { matcher.dense.add(&text, id) } else { matcher.tokens.add(text.as_bytes(), id) };
            if first != id {
                matcher.twins[id as usize] = std::mem::replace(&mut matcher.twins[first as usize], id);
                matcher.has_twins = true;
            }
        }
        matcher.texts = texts;
        matcher
    }

    /// The ids of all queries that `caption` holds, ascending, each once.
    pub fn queries(&self, caption: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(32);
        let mut found = |first: u32| {
            ids.push(first);
            if self.has_twins {
                let mut id = self.twins[first as usize];
                while id != NONE {
                    ids.push(id);
                    id = self.twins[id as usize];
                }
            }
        };
        if self.rule == Rule::Folded || !self.dense.is_empty() {
            let caption = self.rule.caption(caption);
            self.tokens.find(caption.as_bytes(), rule::cut_at_blanks, &mut found);
            self.dense.find(&caption, &mut found);
        } else {
            // The published spacing is so plain that the caption need not be written down spaced.
            self.tokens.find(caption.as_bytes(), rule::cut_set_off, &mut found);
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The rule by which captions are searched.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// The text of a query.
    ///
    /// # Panics
    /// When `id` is not below [`Matcher::len`].
    pub fn text(&self, id: u32) -> &str {
        &self.texts[id as usize]
    }

    /// Number of queries.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is no query.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shards::TableWriter;

    #[track_caller]
    fn check(rule: Rule, queries: &[&str], caption: &str, expected: &[&str]) {
        let matcher = Matcher::from_texts(queries.iter().map(|text| text.to_string()).collect(), rule);
        let found: Vec<&str> = matcher.queries(caption).into_iter().map(|id| matcher.text(id)).collect();
        assert_eq!(found, expected, "{rule}: {caption}");
    }

    #[test]
    fn matches_as_the_folded_rule_says() {
        let check = |queries: &[&str], caption: &str, expected: &[&str]| check(Rule::Folded, queries, caption, expected);
        check(&["photo", "of", "cat", "a", ",", "photo of", "hot"], "A photo,of a cat", &["photo", "of", "cat", "a", ","]);
        check(&["red car"], "Red  Car", &["red car"]);
        check(&["cat", "Cats"], "my \"Cat\", (cat) & CATS!", &["cat", "Cats"]);
        check(&["dog", "dog's", "ray", "x-ray"], "the dog's X-ray", &["dog's", "x-ray"]);
        check(&["st. louis", "louis"], "St. Louis", &["st. louis", "louis"]);
        check(&["café"], "CAFE\u{301}", &["café"]);
        check(&["東京", "タワー", "cat"], "東京タワーとcat", &["東京", "タワー"]);
        check(&["Cat", "cat", "CAT"], "a cat", &["Cat", "cat", "CAT"]);
        check(&["", "  ", "x"], " ", &[]);
    }

    #[test]
    fn matches_as_the_published_rules_say() {
        for rule in [Rule::Metaclip1, Rule::Metaclip2] {
            let check = |queries: &[&str], caption: &str, expected: &[&str]| check(rule, queries, caption, expected);
            check(&["photo", "of", "cat", "a", ",", "A", "photo of"], "A photo,of a cat", &["photo", "of", "cat", "a", ",", "A"]);
            check(&["red car"], "red  car", &[]);
            check(&["cat", "Louis", "St. Louis", "St"], "(cat) St. Louis", &["Louis", "St"]);
            check(&["The", "the"], "the end", &["the"]);
        }
        let check = |rule, expected: &[&str]| check(rule, &["東京", "cat", "-", "(cat"], "東京タワーとcat (cats-", expected);
        check(Rule::Metaclip1, &[]);
        check(Rule::Metaclip2, &["東京", "-"]);
    }

    #[test]
    fn reads_kept_rows_by_the_rule_of_the_list() {
        let dir = tempfile::tempdir().expect("a folder");
        let row = |id, text: &str, cut: &str| Query {
            id,
            text: text.into(),
            source: "word".into(),
            count: 1,
            pmi: None,
            views: None,
            cut: cut.into(),
        };
        let write = |name: &str, rule: &str, rows: Vec<Query>| {
            let path = dir.path().join(name);
            TableWriter::write_all(&path, &[("match", rule)], rows).expect("written");
            path
        };
        for (rule, ids) in [("folded", vec![0, 1]), ("metaclip1", vec![0])] {
            let good = write(rule, rule, vec![row(0, "cat", ""), row(1, "dog", ""), row(CUT_ID, "cow", "limit")]);
            let matcher = Matcher::read(&good).expect("read");
            assert_eq!((matcher.len(), matcher.rule().name(), matcher.queries("cow Dog cat")), (2, rule, ids));
        }
        let other = write("other", "exact", vec![row(0, "cat", "")]);
        let error = Matcher::read(&other).map(|_| ()).expect_err("refused");
        assert!(error.to_string().contains("\"exact\""), "{error}");
        let gap = write("gap", "folded", vec![row(1, "cat", "")]);
        assert!(matches!(Matcher::read(&gap), Err(Error::QueryList { .. })));
    }

    /// The rules, word for word: is there a place in the caption where the query stands and both ends are free or blank?
    fn naive(query: &str, caption: &str, rule: Rule) -> bool {
        let (query, caption) = (rule.query(query), format!(" {} ", rule.caption(caption)));
        if query.trim().is_empty() {
            return false;
        }
        let blank = |end: Option<char>| if end.is_some_and(|c| rule.is_free(c)) { "" } else { " " };
        caption.contains(&format!("{}{query}{}", blank(query.chars().next()), blank(query.chars().next_back())))
    }

    /// The published rule as it is written down: blanks around seven signs, tabs and ends of lines to blanks, then each entry is
    /// looked for between blanks.
    fn published(entries: &[String], caption: &str) -> Vec<u32> {
        let mut spaced = format!(" {caption} ");
        for sign in [",", ".", ";", ":", "?", "!", "`"] {
            spaced = spaced.replace(sign, &format!(" {sign} "));
        }
        let spaced = spaced.replace(['\t', '\n', '\r'], " ");
        (0..entries.len() as u32).filter(|&id| spaced.contains(&format!(" {} ", entries[id as usize]))).collect()
    }

    #[test]
    fn equals_the_published_loop_on_100_000_captions() {
        const WORDS: [&str; 24] = [
            "a",
            "of",
            "the",
            "cat",
            "Cat",
            "dog",
            "photo",
            "New",
            "York",
            "St",
            "Louis",
            "red",
            "x-ray",
            "don't",
            "2",
            "(cat)",
            "café",
            "猫",
            "",
            "-",
            "internationalization",
            "internationalizations",
            "\u{a0}",
            "#1",
        ];
        const BETWEEN: [&str; 12] = [" ", " ", " ", " ", "  ", ", ", ".", "; ", ":", "\t", "\r\n", "`"];
        let mut state = 7u64;
        let mut draw = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let mut entries: Vec<String> = WORDS.iter().filter(|word| !word.is_empty()).map(|word| word.to_string()).collect();
        entries.extend([",", ".", "St. Louis", "a  of", "photo ,", ", the"].map(String::from));
        for words in [2, 2, 3, 4] {
            for _ in 0..25 {
                entries.push((0..words).map(|_| WORDS[draw(WORDS.len())]).collect::<Vec<_>>().join(" "));
            }
        }
        entries.retain(|entry| !entry.trim().is_empty());
        let matcher = Matcher::from_texts(entries.clone(), Rule::Metaclip1);
        let mut found = 0;
        for _ in 0..100_000 {
            let mut caption = String::new();
            for _ in 0..draw(14) {
                caption += WORDS[draw(WORDS.len())];
                caption += BETWEEN[draw(BETWEEN.len())];
            }
            let ids = matcher.queries(&caption);
            found += ids.len();
            assert_eq!(ids, published(&entries, &caption), "{caption:?}");
        }
        assert!(found > 500_000, "{found}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn equals_a_naive_loop(
            queries in proptest::collection::vec("[abAB猫黒ไท '.\\-\u{301}]{0,5}|\\PC{0,3}", 0..12),
            caption in "[abAB猫黒ไท '.,\\-\u{301}\"]{0,30}|\\PC{0,12}",
            rule in 0..3usize,
        ) {
            let rule = Rule::ALL[rule];
            let matcher = Matcher::from_texts(queries.clone(), rule);
            let expected: Vec<u32> = (0..queries.len() as u32).filter(|&id| naive(&queries[id as usize], &caption, rule)).collect();
            prop_assert_eq!(matcher.queries(&caption), expected, "{}", rule);
        }
    }
}
