//! Text as CLIP's tokenizer wants it, before it is cut into words: what `ftfy.fix_text`, two rounds of `html.unescape`,
//! collapsing of blanks and lower case leave of it in Python.

use crate::entities::{unescape, unescape_carefully};
use crate::mojibake;
use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use std::borrow::Cow;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The cleaned text. Input beyond `max_bytes` is ignored.
pub(crate) fn clean(text: &str, max_bytes: usize) -> String {
    let text = &text[..text.floor_char_boundary(max_bytes)];
    // Most captions: nothing to repair, nothing to resolve.
    if text.bytes().all(|byte| byte.is_ascii() && byte != b'&' && byte != 0x1b) {
        return collapse(text.chars().filter(|letter| !is_control(*letter)).map(|letter| letter.to_ascii_lowercase()), text.len());
    }
    let fixed = fix(text);
    let twice = unescape(&fixed);
    let twice = unescape(&twice);
    collapse(twice.chars(), twice.len()).to_lowercase()
}

/// Runs of white space become one blank, none at the ends.
fn collapse(letters: impl Iterator<Item = char>, capacity: usize) -> String {
    let mut out = String::with_capacity(capacity);
    let mut blank = false;
    for letter in letters {
        if letter.is_whitespace() {
            blank = true;
        } else {
            if blank && !out.is_empty() {
                out.push(' ');
            }
            blank = false;
            out.push(letter);
        }
    }
    out
}

/// What `ftfy.fix_text` does: every line on its own; references are resolved only as long as no `<` was seen, which would
/// say that the text is HTML on purpose.
fn fix(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut entities = true;
    for line in text.split_inclusive('\n') {
        entities &= !line.contains('<');
        out.push_str(&fix_line(line, entities));
    }
    out
}

/// Repairs until nothing is left to repair.
fn fix_line(line: &str, entities: bool) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(line);
    loop {
        let next = {
            let resolved = if entities { unescape_carefully(&text) } else { Cow::Borrowed(&*text) };
            let decoded = mojibake::fix(&resolved);
            let plain = simplify(&decoded);
            let whole = if is_nfc_quick(plain.chars()) == IsNormalized::Yes { plain } else { Cow::Owned(plain.nfc().collect()) };
            if *whole == *text { None } else { Some(whole.into_owned()) }
        };
        match next {
            None => return text,
            Some(next) => text = Cow::Owned(next),
        }
    }
}

/// Control characters that carry no text: ASCII's but for white space, deprecated Arabic ones, byte-order marks,
/// annotations, the mark of an embedded object.
fn is_control(letter: char) -> bool {
    matches!(letter, '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}')
}

/// Whether [`simplify`] changes it.
fn is_special(letter: char) -> bool {
    matches!(letter, '\r' | '\u{80}'..='\u{9f}' | '\u{132}' | '\u{133}' | '\u{149}' | '\u{1c4}'..='\u{1cc}' | '\u{1f1}'..='\u{1f3}' | '\u{2bc}'
        | '\u{2018}'..='\u{201f}' | '\u{2028}' | '\u{2029}' | '\u{3000}' | '\u{fb00}'..='\u{fb06}' | '\u{ff01}'..='\u{ffef}')
        || is_control(letter)
}

/// Windows' letters for control characters, ligatures and digraphs of Latin letters apart, full-width and half-width forms
/// in their usual width, straight quotes, one kind of line break, no escapes of terminals, no control characters.
fn simplify(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match mojibake::windows_letter(letter) {
            '\r' => {
                letters.next_if_eq(&'\n');
                out.push('\n');
            }
            '\u{2028}' | '\u{2029}' | '\u{85}' => out.push('\n'),
            '\u{3000}' => out.push(' '),
            '\u{149}' => out.push_str("'n"),
            // The long s of this ligature stays one.
            '\u{fb05}' => out.push_str("\u{17f}t"),
            c @ ('\u{132}'
            | '\u{133}'
            | '\u{1c4}'..='\u{1cc}'
            | '\u{1f1}'..='\u{1f3}'
            | '\u{fb00}'..='\u{fb06}'
            | '\u{ff01}'..='\u{ffef}') => {
                out.extend(std::iter::once(c).nfkc());
            }
            '\u{2bc}' | '\u{2018}'..='\u{201b}' => out.push('\''),
            '\u{201c}'..='\u{201f}' => out.push('"'),
            c => out.push(c),
        }
    }
    if out.contains('\u{1b}') {
        out = without_escapes(&out);
    }
    out.retain(|letter| !is_control(letter));
    Cow::Owned(out)
}

/// Removes the sequences that colour a terminal: escape, bracket, numbers, a letter.
fn without_escapes(text: &str) -> String {
    let is_digit = |letter: char| CodePointMapData::<GeneralCategory>::new().get(letter) == GeneralCategory::DecimalNumber;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        out.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = inner.trim_start_matches(|letter: char| letter == ';' || is_digit(letter));
        match end.strip_prefix(|letter: char| letter.is_ascii_alphabetic()) {
            Some(after) => rest = after,
            None => {
                out.push_str("\u{1b}[");
                rest = inner;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::clean;
    use proptest::prelude::*;

    #[test]
    fn cleans_as_clip_does() {
        let cases = [
            ("  Two\t\n words ", "two words"),
            ("&amp;lt;b&amp;gt; &eacute;", "<b> \u{e9}"),
            ("\u{201c}it\u{2019}s\u{201d}", "\"it's\""),
            ("\u{fb01}ne \u{ff21}\u{ff11}", "fine a1"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("a\u{0}b\u{7f}", "ab"),
            ("\u{feff}x\u{a0}y", "x y"),
            ("\u{c4}RGER", "\u{e4}rger"),
            ("caf\u{c3}\u{a9} \u{e2}\u{20ac}\u{2122}", "caf\u{e9} '"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("a\r\nb\u{2028}c\u{85}d", "a b c\u{2026}d"),
            ("\u{39f}\u{394}\u{39f}\u{3a3}", "\u{3bf}\u{3b4}\u{3bf}\u{3c2}"),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text, 1000), expected, "{text:?}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        assert_eq!(clean("a\u{e9}\u{e9}", 4), "a\u{e9}");
    }

    proptest! {
        #[test]
        fn blanks_are_single(text in "\\PC{0,60}") {
            let cleaned = clean(&text, 1000);
            prop_assert!(!cleaned.contains("  ") && cleaned.trim() == cleaned);
        }
    }
}
