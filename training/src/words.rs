//! Where CLIP's tokenizer cuts a text into words: English contractions, runs of letters, single digits, runs of other signs.

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

/// Texts that stand for the start and the end when they are written out, as in open_clip.
pub(crate) const SPECIAL: [&str; 2] = ["<start_of_text>", "<end_of_text>"];
const CONTRACTIONS: [&str; 7] = ["s", "t", "re", "ve", "m", "ll", "d"];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Blank,
    Letter,
    Number,
    Sign,
}

fn kind(letter: char) -> Kind {
    match letter {
        'a'..='z' | 'A'..='Z' => Kind::Letter,
        '0'..='9' => Kind::Number,
        // A mark that is an iota in capitals: the pattern, which minds no case, takes it for neither a letter nor a sign.
        '\t'..='\r' | ' ' | '\u{345}' => Kind::Blank,
        '\0'..='\x7f' => Kind::Sign,
        // The two large blocks, looked up nowhere: Chinese and Korean.
        '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => Kind::Letter,
        _ if letter.is_whitespace() => Kind::Blank,
        _ => {
            let category = CodePointMapData::<GeneralCategory>::new().get(letter);
            if GeneralCategoryGroup::Letter.contains(category) {
                Kind::Letter
            } else if GeneralCategoryGroup::Number.contains(category) {
                Kind::Number
            } else {
                Kind::Sign
            }
        }
    }
}

/// Whether it is a letter or a number of any script.
pub(crate) fn is_word(letter: char) -> bool {
    matches!(kind(letter), Kind::Letter | Kind::Number)
}

/// The words of a cleaned text.
pub(crate) fn words(text: &str) -> Words<'_> {
    Words { rest: text }
}

pub(crate) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (first, first_kind) = loop {
            let letter = self.rest.chars().next()?;
            match kind(letter) {
                Kind::Blank => self.rest = &self.rest[letter.len_utf8()..],
                other => break (letter, other),
            }
        };
        let run = |wanted: Kind| self.rest.char_indices().find(|(_, letter)| kind(*letter) != wanted).map_or(self.rest.len(), |(at, _)| at);
        let length = match first_kind {
            Kind::Number => first.len_utf8(),
            Kind::Letter => run(Kind::Letter),
            _ => fixed(self.rest).unwrap_or_else(|| run(Kind::Sign)),
        };
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(word)
    }
}

/// Length of the contraction or special text at the front.
fn fixed(text: &str) -> Option<usize> {
    if let Some(after) = text.strip_prefix('\'') {
        return CONTRACTIONS.iter().find_map(|ending| begins(after, ending)).map(|length| 1 + length);
    }
    if text.starts_with('<') { SPECIAL.iter().find_map(|special| begins(text, special)) } else { None }
}

/// Length of `wanted` (small letters) at the front of `text` whatever its case; the long s counts as an s.
fn begins(text: &str, wanted: &str) -> Option<usize> {
    let mut letters = text.chars();
    let same =
        |wanted: char| letters.next().filter(|&letter| letter.to_ascii_lowercase() == wanted || (letter == '\u{17f}' && wanted == 's'));
    wanted.chars().map(same).map(|letter| letter.map(char::len_utf8)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_as_the_pattern_does() {
        let cases: [(&str, &[&str]); 10] = [
            ("", &[]),
            (" a photo.", &["a", "photo", "."]),
            ("it's we'll 'tis o'clock", &["it", "'s", "we", "'ll", "'t", "is", "o", "'", "clock"]),
            ("100,000 m\u{b2}", &["1", "0", "0", ",", "0", "0", "0", "m", "\u{b2}"]),
            (".'s !?'d", &[".'", "s", "!?'", "d"]),
            ("\u{65e5}\u{672c}\u{8a9e}\u{1f600}\u{fe0f}x", &["\u{65e5}\u{672c}\u{8a9e}", "\u{1f600}\u{fe0f}", "x"]),
            ("\u{915}\u{94d}\u{937}", &["\u{915}", "\u{94d}", "\u{937}"]),
            ("\u{3b1}\u{345}b!\u{345}?", &["\u{3b1}", "b", "!", "?"]),
            ("<end_of_text><b>", &["<end_of_text>", "<", "b", ">"]),
            ("it'\u{17f} <\u{17f}tart_of_text>", &["it", "'\u{17f}", "<\u{17f}tart_of_text>"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
