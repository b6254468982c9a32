//! The words of a text, as they are counted for the query list.

use crate::Rule;
use crate::folded::{fold, is_dense};
use icu_segmenter::options::WordBreakInvariantOptions;
use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed};
use std::borrow::Cow;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_segmentation::UnicodeSegmentation;

/// Cuts texts into words. Has dictionaries and models for scripts without blanks, so make one and keep it.
pub struct Words {
    rule: Rule,
    dense: WordSegmenterBorrowed<'static>,
    /// The piece of text in hand, in the form in which it is counted.
    form: String,
}

/// A word as it stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// Its letters.
    pub text: &'a str,
    /// Whether it follows the word before it as the words of a query do: after nothing but blanks, or in a script without blanks
    /// after nothing at all. Signs and line breaks part words.
    pub joined: bool,
}

impl Words {
    /// Words in the form that `rule` compares: folded, or NFC with capitals kept.
    pub fn new(rule: Rule) -> Self {
        Words { rule, dense: WordSegmenter::new_auto(WordBreakInvariantOptions::default()), form: String::new() }
    }

    /// Calls `found` with each word of `text`.
    ///
    /// Words are those of Unicode's default segmentation (UAX 29): they hold a letter or number, keep apostrophes (`don't`) and points
    /// between numbers (`3.5`), and break at hyphens. Colons break words, which UAX 29 leaves to the language. Runs of scripts
    /// written without blanks are cut by ICU4X: Chinese and Japanese by dictionary, Thai, Lao, Burmese and Khmer by its models, Tibetan at its
    /// marks.
    pub fn each(&mut self, text: &str, mut found: impl FnMut(Word<'_>)) {
        // A blank always parts words, so what stands between two can be looked at alone; most of it is plain ASCII.
        let mut joined = false;
        for line in text.split('\n') {
            joined = false;
            if line.is_ascii() {
                self.ascii(line, &mut joined, &mut found);
                continue;
            }
            for part in line.split(' ') {
                if part.is_ascii() {
                    self.ascii(part, &mut joined, &mut found);
                } else {
                    self.unicode(part, &mut joined, &mut found);
                }
            }
        }
        let _ = joined;
    }

    fn ascii(&mut self, part: &str, joined: &mut bool, found: &mut impl FnMut(Word<'_>)) {
        let part = if self.rule.is_cased() {
            part
        } else {
            self.form.clear();
            self.form.push_str(part);
            self.form.make_ascii_lowercase();
            &self.form
        };
        ascii_words(part, joined, found);
    }

    fn unicode(&mut self, part: &str, joined: &mut bool, found: &mut impl FnMut(Word<'_>)) {
        // Folding may compose across what would be a boundary of words, never the other way: fold first.
        let form = match (self.rule.is_cased(), is_nfc_quick(part.chars())) {
            (false, _) => fold(part),
            (true, IsNormalized::Yes) => Cow::Borrowed(part),
            (true, _) => Cow::Owned(part.nfc().collect()),
        };
        let mut rest = &*form;
        while let Some(first) = rest.chars().next() {
            let dense = is_dense(first);
            let end = rest.find(|c| is_dense(c) != dense).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            // A blank joins words of letters only, and the two kinds make no pair with each other.
            *joined &= !dense && rest.len() == form.len();
            if dense {
                self.dense(run, joined, found);
            } else {
                spaced(run, joined, found);
            }
            rest = after;
        }
        // Dense words are joined by standing side by side, and a blank stands here.
        *joined &= form.chars().next_back().is_none_or(|last| !is_dense(last));
    }

    /// The words of a run of letters of scripts without blanks.
    fn dense(&self, run: &str, joined: &mut bool, found: &mut impl FnMut(Word<'_>)) {
        let mut start = 0;
        for end in self.dense.segment_str(run).filter(|&end| end > 0) {
            emit(&run[start..end], joined, found);
            start = end;
        }
    }
}

/// The words of a run without letters of dense scripts.
fn spaced(run: &str, joined: &mut bool, found: &mut impl FnMut(Word<'_>)) {
    for (index, part) in run.split(':').enumerate() {
        *joined &= index == 0;
        for segment in part.split_word_bounds() {
            emit(segment, joined, found);
        }
    }
}

/// Gives out a segment if it is a word; any other segment that is not blank parts the words beside it.
fn emit(segment: &str, joined: &mut bool, found: &mut impl FnMut(Word<'_>)) {
    if segment.chars().any(char::is_alphanumeric) {
        found(Word { text: segment, joined: *joined });
        *joined = true;
    } else {
        *joined &= segment.chars().all(char::is_whitespace);
    }
}

/// The words of ASCII text: UAX 29 with its rules for other characters left out, and colons breaking words.
fn ascii_words(part: &str, joined: &mut bool, found: &mut impl FnMut(Word<'_>)) {
    let bytes = part.as_bytes();
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut at = 0;
    while at < bytes.len() {
        if !inside(bytes[at]) {
            *joined &= bytes[at].is_ascii_whitespace();
            at += 1;
            continue;
        }
        let start = at;
        loop {
            while at < bytes.len() && inside(bytes[at]) {
                at += 1;
            }
            // A sign within a word: an apostrophe or point between two letters, the same or a comma between two digits.
            let (before, after) = (bytes[at - 1], bytes.get(at + 1).copied().unwrap_or(b' '));
            let letters = before.is_ascii_alphabetic() && after.is_ascii_alphabetic();
            let digits = before.is_ascii_digit() && after.is_ascii_digit();
            match bytes.get(at) {
                Some(b'\'' | b'.') if letters || digits => at += 1,
                Some(b',' | b';') if digits => at += 1,
                _ => break,
            }
        }
        // Underscores alone are no word.
        if bytes[start..at].iter().any(u8::is_ascii_alphanumeric) {
            found(Word { text: &part[start..at], joined: *joined });
            *joined = true;
        } else {
            *joined = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Matcher;
    use proptest::prelude::*;

    fn list(text: &str, rule: Rule) -> Vec<String> {
        let mut list = Vec::new();
        Words::new(rule).each(text, |word| list.push(word.text.to_string()));
        list
    }

    /// Words, with `+` before those that follow the one before them in a query.
    fn pairs(text: &str) -> String {
        let mut out = String::new();
        Words::new(Rule::Folded).each(text, |word| out += &format!("{}{} ", if word.joined { "+" } else { "" }, word.text));
        out.trim_end().to_string()
    }

    #[test]
    fn words_have_letters_or_numbers() {
        let list = |text| list(text, Rule::Folded);
        assert_eq!(list("The cat's x-ray: 3.5 (U.S.) — … !"), ["the", "cat's", "x", "ray", "3.5", "u.s"]);
        assert_eq!(list("wikt:foo 9:30 snake_case 1,000 a,b"), ["wikt", "foo", "9", "30", "snake_case", "1,000", "a", "b"]);
        assert_eq!(list("ÉTÉ ﬁsh Ａ हिन्दी"), ["été", "fish", "a", "हिन्दी"]);
        assert_eq!(list(""), Vec::<String>::new());
    }

    #[test]
    fn scripts_without_blanks_are_cut_into_words() {
        let list = |text| list(text, Rule::Folded);
        assert_eq!(list("黒い猫が東京タワーを見る。"), ["黒い", "猫", "が", "東京", "タワー", "を", "見る"]);
        assert_eq!(list("北京大学的学生"), ["北京", "大学", "的", "学生"]);
        assert_eq!(list("ภาษาไทยภาษาไทย"), ["ภาษา", "ไทย", "ภาษา", "ไทย"]);
        for text in ["ខ្ញុំចូលចិត្តឆ្មាណាស់", "ຂ້ອຍມັກແມວຫຼາຍ", "ကျွန်တော်ကြောင်ကိုချစ်တယ်"]
        {
            let words = list(text);
            assert!(words.len() > 1 && words.concat() == text, "{words:?}");
        }
        assert_eq!(list("རྒྱལ་ཁབ།"), ["རྒྱལ", "ཁབ"]);
        assert_eq!(list("赤いTシャツ"), ["赤い", "t", "シャツ"]);
    }

    #[test]
    fn capitals_stay_where_the_rule_minds_them() {
        for rule in [Rule::Metaclip1, Rule::Metaclip2] {
            assert_eq!(list("The CAFE\u{301} of ﬁsh", rule), ["The", "CAFÉ", "of", "ﬁsh"]);
        }
    }

    #[test]
    fn signs_and_lines_part_words() {
        assert_eq!(pairs("New York, the big  apple"), "new +york the +big +apple");
        assert_eq!(pairs("a (b) c\nd e: f:g x-ray 'q' r"), "a b c d +e f g +x ray q r");
        assert_eq!(pairs("黒い猫 東京"), "黒い +猫 東京");
        assert_eq!(pairs("big 猫 cat a猫b"), "big 猫 cat +a 猫 b");
        assert_eq!(pairs("été à — Paris"), "été +à paris");
    }

    proptest! {
        #[test]
        fn ascii_is_cut_as_unicode_says(text in "[a-z0-9'.,;:_\\-\"A-Z ]{0,30}|[ -~]{0,30}") {
            let folded = fold(&text);
            let expected: Vec<&str> = folded.split(':').flat_map(|part| part.unicode_words()).collect();
            prop_assert_eq!(list(&text, Rule::Folded), expected);
        }

        #[test]
        fn a_word_and_a_pair_between_blanks_are_found_by_the_matcher(
            text in "[a-zA-Z0-9'.:_ \\-éÉ猫黒ไท]{0,30}|\\PC{0,15}",
            rule in 0..3usize,
        ) {
            let rule = Rule::ALL[rule];
            let mut last = String::new();
            Words::new(rule).each(&text, |word| {
                assert!(word.text.chars().any(char::is_alphanumeric));
                let pair = if word.joined { crate::tally::joined(&last, word.text) } else { word.text.to_string() };
                // MetaCLIP spaces captions and not queries, so a word with a point in it never matches there.
                if rule == Rule::Folded {
                    let matcher = Matcher::from_texts(vec![word.text.to_string(), pair.clone()], rule);
                    assert_eq!(matcher.queries(&format!("the {pair} here")), vec![0, 1], "{} in {}", word.text, pair);
                }
                last = word.text.to_string();
            });
        }
    }
}
