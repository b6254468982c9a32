//! The matching rule `folded`: the one form in which captions and queries are compared.
//!
//! 1. Both are *folded*: Unicode NFKC and lower case; the curly apostrophe (U+2019) and the true hyphens (U+2010, U+2011) are those of
//!    typewriters; soft hyphens, joiners and spaces without width, which nobody sees, are dropped.
//! 2. Both are *spaced*: every sign becomes a token of its own, with a blank on each side; runs of blanks become one.
//!    A sign is whatever is not a letter, number, mark or blank. Apostrophes and hyphens between two letters or numbers are
//!    not signs but part of the word: `don't`, `x-ray`.
//! 3. A query matches where it stands in the spaced caption with a blank or the caption's end on each side; on the side of a
//!    letter of a script that is written without blanks (Chinese, Japanese, Thai, Lao, Burmese, Khmer, Tibetan) nothing is asked.
//!
//! This is MetaCLIP 2's rule (arXiv 2507.22062) with two changes: it ignores case and forms of the same letter, and it sets off
//! every sign in captions and queries alike, where MetaCLIP sets off `, . ; : ? ! `` ` `` in captions only. So `"cat"` and `(cat)`
//! hold `cat`, and a query such as `st. louis` can match at all. Like there, `dog's` does not hold `dog`.

use std::borrow::Cow;
use std::iter::Peekable;
use unicode_normalization::{IsNormalized, UnicodeNormalization, char::is_combining_mark, is_nfkc_quick};

/// Unicode NFKC and lower case, apostrophes and hyphens of one form, nothing that is not seen; nothing else is changed. Folding twice
/// changes nothing more.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        let same = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        return if same { Cow::Borrowed(text) } else { Cow::Owned(text.to_ascii_lowercase()) };
    }
    // Before the rest: they may stand between a letter and its mark.
    let seen = if text.contains(is_unseen) { Cow::Owned(text.replace(is_unseen, "")) } else { Cow::Borrowed(text) };
    let folded = nfkc(nfkc(seen).to_lowercase().into()).into_owned();
    Cow::Owned(if folded.contains(is_curly) { folded.chars().map(plain).collect() } else { folded })
}

/// Soft hyphens, joiners, marks of direction and spaces without width.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
}

fn is_curly(c: char) -> bool {
    plain(c) != c
}

/// The apostrophe or hyphen that a character is a form of.
fn plain(c: char) -> char {
    match c {
        '\u{2019}' => '\'',
        '\u{2010}' | '\u{2011}' => '-',
        c => c,
    }
}

fn nfkc(text: Cow<'_, str>) -> Cow<'_, str> {
    match is_nfkc_quick(text.chars()) {
        IsNormalized::Yes => text,
        _ => Cow::Owned(text.nfkc().collect()),
    }
}

/// What a character is to the rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// White space and control characters.
    Blank,
    /// A letter or number of a script written with blanks.
    Word,
    /// A letter of a script written without blanks.
    Dense,
    /// A mark or joiner: it belongs to the character before it.
    Mark,
    /// An apostrophe or hyphen.
    Joint,
    /// Everything else.
    Sign,
}

fn class(c: char) -> Class {
    match c {
        'a'..='z' | '0'..='9' | 'A'..='Z' => Class::Word,
        ' ' => Class::Blank,
        '\'' | '-' | '\u{2019}' | '\u{2010}' | '\u{2011}' => Class::Joint,
        _ if c.is_whitespace() || c.is_control() => Class::Blank,
        _ if c.is_ascii() => Class::Sign,
        _ if is_dense(c) => Class::Dense,
        // Zero width joiners and variation selectors shape their neighbours, and are not seen themselves.
        '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}' => Class::Mark,
        _ if is_combining_mark(c) => Class::Mark,
        _ if c.is_alphanumeric() => Class::Word,
        _ => Class::Sign,
    }
}

/// Whether `c` is a letter (or a vowel sign) of a script that is written without blanks between words.
///
/// Blocks as in Unicode's Blocks.txt; of each only letters, numbers and marks, so that `。` or `།` stay signs.
pub(crate) fn is_dense(c: char) -> bool {
    let block = matches!(c,
        '\u{0E00}'..='\u{0EFF}' // Thai, Lao
        | '\u{0F00}'..='\u{0FFF}' // Tibetan
        | '\u{1000}'..='\u{109F}' | '\u{A9E0}'..='\u{A9FF}' | '\u{AA60}'..='\u{AA7F}' // Burmese
        | '\u{1780}'..='\u{17FF}' // Khmer
        | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3031}'..='\u{303C}' // ideographic marks and numerals
        | '\u{3040}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{1AFF0}'..='\u{1B16F}' // Hiragana, Katakana
        | '\u{3100}'..='\u{312F}' | '\u{31A0}'..='\u{31BF}' // Bopomofo
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}'); // Han
    block && (c.is_alphanumeric() || is_combining_mark(c))
}

/// Brings folded text into the form in which queries and captions are compared: signs are tokens of their own, tokens are
/// separated by one blank, none at the ends.
pub fn spaced(folded: &str) -> String {
    let mut out = String::with_capacity(folded.len() + folded.len() / 4);
    let mut chars = folded.chars().peekable();
    let mut before = Class::Blank;
    while let Some(c) = chars.next() {
        let mut now = class(c);
        if now == Class::Joint {
            now = if before == Class::Word && next_is_word(&mut chars) { Class::Word } else { Class::Sign };
        }
        match now {
            Class::Blank => {
                before = Class::Blank;
                continue;
            }
            // A mark stays with what it marks; at the start of a text or after a blank it begins a word.
            Class::Mark if before != Class::Blank => {
                out.push(c);
                continue;
            }
            Class::Mark => now = Class::Word,
            _ => {}
        }
        if (before == Class::Blank || before == Class::Sign || now == Class::Sign) && !out.is_empty() {
            out.push(' ');
        }
        out.push(c);
        before = now;
    }
    out
}

fn next_is_word(chars: &mut Peekable<std::str::Chars<'_>>) -> bool {
    chars.peek().is_some_and(|&next| class(next) == Class::Word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form(text: &str) -> String {
        spaced(&fold(text))
    }

    #[test]
    fn signs_are_set_off_and_words_kept() {
        assert_eq!(form("A photo,of a  \"cat\" (Red)."), "a photo , of a \" cat \" ( red ) .");
        assert_eq!(form("don't x-ray rock'n'roll"), "don't x-ray rock'n'roll");
        assert_eq!(form("'quoted' dogs' - 1990-"), "' quoted ' dogs ' - 1990 -");
        assert_eq!(form("a--b"), "a - - b");
        assert_eq!(form("St.Louis 3.5 $5 a_b"), "st . louis 3 . 5 $ 5 a _ b");
        assert_eq!(form(" \t\n "), "");
    }

    #[test]
    fn compatibility_forms_and_case_vanish() {
        assert_eq!(form("Ｆｕｌｌ ﬁsh ÉTÉ e\u{301}te\u{301}"), "full fish été été");
    }

    #[test]
    fn apostrophes_and_hyphens_have_one_form_and_what_is_not_seen_is_dropped() {
        assert_eq!(form("Valentine\u{2019}s jack\u{2011}o\u{2010}lantern"), "valentine's jack-o-lantern");
        assert_eq!(form("uni\u{AD}ver\u{200B}sity\u{FEFF} e\u{2060}\u{301}"), "university é");
        assert_eq!(fold("\u{200D}"), "");
    }

    #[test]
    fn marks_stay_with_their_letters_and_emoji() {
        assert_eq!(form("हिन्दी ไทย"), "हिन्दी ไทย");
        assert_eq!(form("red\u{2764}\u{FE0F}car"), "red \u{2764}\u{FE0F} car");
    }

    #[test]
    fn dense_letters_are_not_signs() {
        assert_eq!(form("東京タワー。夜"), "東京タワー 。 夜");
        assert!(is_dense('猫') && is_dense('ー') && is_dense('ไ') && is_dense('ี'));
        assert!(!is_dense('。') && !is_dense('a') && !is_dense('한') && !is_dense('།'));
    }

    proptest! {
        #[test]
        fn folding_and_spacing_twice_changes_nothing(text in "\\PC{0,40}|[a-zA-Z' ,.\\-猫ไ\u{301}\u{FE0F}\u{AD}\u{200B}\u{200D}\u{2019}\u{2011}Σ]{0,40}") {
            let folded = fold(&text).into_owned();
            let twice = fold(&folded).into_owned();
            prop_assert_eq!(&twice, &folded);
            let once = spaced(&folded);
            prop_assert!(!once.starts_with(' ') && !once.ends_with(' ') && !once.contains("  "));
            let bare = |text: &str| text.chars().filter(|&c| class(c) != Class::Blank).collect::<String>();
            prop_assert_eq!(bare(&once), bare(&folded));
        }
    }
}
