//! The one form in which captions are stored, matched and hashed.

use unicode_normalization::UnicodeNormalization;

/// The longest caption kept, in characters; what follows is cut off.
pub const MAX_CAPTION_CHARS: usize = 1000;

/// Brings `raw` into diptych's caption form: HTML entities decoded, control characters to blanks, NFC, runs of
/// white space to one blank, trimmed, at most [`MAX_CAPTION_CHARS`] characters. Of what nobody sees alone nothing is left.
///
/// Idempotent except for entities that decode to entities (`&amp;amp;`), as in HTML itself.
pub fn clean_caption(raw: &str) -> String {
    // A caption needs no more than this many bytes of input: the longest entity takes 33 bytes for one character.
    let raw = &raw[..raw.floor_char_boundary(MAX_CAPTION_CHARS * 64)];
    if is_clean(raw) {
        return raw.to_string();
    }
    thoroughly(raw)
}

/// Whether a text is in the form already: ASCII without entities, controls and blanks that are too many. Many captions are.
fn is_clean(raw: &str) -> bool {
    let bytes = raw.as_bytes();
    let plain = |byte: u8| matches!(byte, b' '..=b'%' | b'\''..=b'~');
    raw.len() <= MAX_CAPTION_CHARS
        && bytes.iter().fold(true, |clean, &byte| clean & plain(byte))
        && bytes.first() != Some(&b' ')
        && bytes.last() != Some(&b' ')
        && bytes.iter().zip(bytes.iter().skip(1)).fold(true, |clean, (&one, &next)| clean & !(one == b' ' && next == b' '))
}

/// [`clean_caption`] for any text.
fn thoroughly(raw: &str) -> String {
    let decoded = html_escape::decode_html_entities(raw);
    // ASCII is NFC already, and most captions are ASCII.
    if decoded.is_ascii() { collapse(decoded.chars(), decoded.len()) } else { collapse(decoded.nfc(), decoded.len()) }
}

/// Runs of white space and control characters to one blank, none at the ends, up to the longest caption.
fn collapse(text: impl Iterator<Item = char>, length: usize) -> String {
    let mut out = String::with_capacity(length.min(4 * MAX_CAPTION_CHARS));
    let mut chars = 0;
    let mut blank = false;
    for c in text {
        if c.is_whitespace() || c.is_control() {
            blank = chars > 0;
            continue;
        }
        if chars + usize::from(blank) >= MAX_CAPTION_CHARS {
            break;
        }
        if std::mem::take(&mut blank) {
            out.push(' ');
            chars += 1;
        }
        out.push(c);
        chars += 1;
    }
    if out.chars().all(|c| c == ' ' || is_unseen(c)) { String::new() } else { out }
}

/// Characters that only shape others: soft hyphens, joiners and spaces without width.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entities_controls_and_blanks() {
        assert_eq!(clean_caption("  a\u{0}red \n\t &amp; blue&nbsp;cat "), "a red & blue cat");
        assert_eq!(clean_caption("e\u{301}"), "é");
        assert_eq!(clean_caption("   "), "");
        assert_eq!((clean_caption("\u{200b}\u{feff} &shy;"), clean_caption("a\u{200b}")), (String::new(), "a\u{200b}".to_string()));
    }

    proptest! {
        #[test]
        fn what_is_clean_stays(raw in "[ -~]{0,40}|[ a&;é\\n]{0,9}|[a-c ]{995,1005}") {
            prop_assert_eq!(clean_caption(&raw), thoroughly(&raw));
        }

        #[test]
        fn short_trimmed_and_single_blanks(raw in "\\PC{0,300}|[ a&;#x0-9\\n]{0,2000}") {
            let caption = clean_caption(&raw);
            prop_assert!(caption.chars().count() <= MAX_CAPTION_CHARS);
            prop_assert_eq!(caption.trim(), &caption);
            prop_assert!(!caption.contains("  "));
            prop_assert!(!caption.chars().any(char::is_control));
        }
    }
}
