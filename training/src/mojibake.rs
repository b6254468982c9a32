//! Repairs text that was written as UTF-8 and read as something else: `cafÃ©` for `café`.
//!
//! CLIP's tokenizer runs `ftfy` 6 (Robyn Speer, Apache-2.0) first, so the same texts must be repaired in the same way. Whether
//! a text looks broken is judged by its classes of letters in [`badness`](crate::badness). Letters that stand for first
//! and following bytes of UTF-8 are found from the code pages themselves.

use crate::badness::is_bad;
use rustc_hash::{FxHashMap, FxHashSet};
use std::borrow::Cow;
use std::sync::LazyLock;

/// What a byte stands for that the others call a replacement character.
const LOST: u8 = 0x1a;

/// The upper half of IBM's code page 437, which the web's encodings lack.
const CP437: &str =
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// An encoding of one byte a letter.
struct CodePage {
    /// The letters of bytes 0x80 to 0xff.
    letters: Vec<char>,
    bytes: FxHashMap<char, u8>,
    /// Windows' pages: bytes without a letter are taken as Latin-1, and 0x1a is a byte that was lost.
    windows: bool,
    /// Whether a blank may have been a no-break space. In Mac's page it would be found behind every dash.
    blanks: bool,
}

impl CodePage {
    fn new(letters: Vec<char>, windows: bool, blanks: bool) -> Self {
        let bytes = letters.iter().zip(0x80..=0xff).map(|(letter, byte)| (*letter, byte)).collect();
        CodePage { letters, bytes, windows, blanks }
    }

    fn of(encoding: &'static encoding_rs::Encoding, windows: bool, blanks: bool) -> Self {
        let letter = |byte: u8| {
            let text = encoding.decode_without_bom_handling_and_without_replacement(std::slice::from_ref(&byte)).map(Cow::into_owned);
            text.and_then(|text| text.chars().next()).unwrap_or(char::from(byte))
        };
        CodePage::new((0x80..=0xff).map(letter).collect(), windows, blanks)
    }

    /// The bytes that this text was, if it can have been in this encoding.
    fn encode(&self, text: &str) -> Option<Vec<u8>> {
        let byte = |letter: char| match letter {
            '\u{1a}' if self.windows => None,
            '\u{fffd}' if self.windows => Some(LOST),
            '\0'..='\x7f' => Some(letter as u8),
            _ => self.bytes.get(&letter).copied(),
        };
        text.chars().map(byte).collect()
    }
}

/// The encodings that are tried, in this order; the first is Latin-1.
static PAGES: LazyLock<Vec<CodePage>> = LazyLock::new(|| {
    use encoding_rs::{ISO_8859_2, MACINTOSH, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1257};
    let mut pages = vec![CodePage::new(('\u{80}'..='\u{ff}').collect(), false, true)];
    let windows = [WINDOWS_1252, WINDOWS_1251, WINDOWS_1250, WINDOWS_1253, WINDOWS_1254, WINDOWS_1257];
    pages.extend(windows.map(|encoding| CodePage::of(encoding, true, true)));
    pages.push(CodePage::of(ISO_8859_2, false, true));
    pages.push(CodePage::of(MACINTOSH, false, false));
    pages.push(CodePage::new(CP437.chars().collect(), false, true));
    pages
});

/// Letters that bytes of UTF-8 become in Latin-1 and Windows' pages.
struct Clues {
    /// First bytes of sequences of 2, 3 and 4.
    first: [FxHashSet<char>; 3],
    following: FxHashSet<char>,
}

static CLUES: LazyLock<Clues> = LazyLock::new(|| {
    let letters = |bytes: &[std::ops::RangeInclusive<u8>]| {
        let letters =
            bytes.iter().cloned().flatten().flat_map(|byte| PAGES[..7].iter().map(move |page| page.letters[usize::from(byte - 0x80)]));
        letters.collect::<FxHashSet<char>>()
    };
    // Sequences of 4 that begin with other bytes mean nothing yet.
    let first = [letters(&[0xc2..=0xdf]), letters(&[0xe0..=0xef]), letters(&[0xf0..=0xf0, 0xf3..=0xf3])];
    Clues { first, following: letters(&[0x80..=0xbf]) }
});

impl Clues {
    /// A blank may have been a no-break space.
    fn follows(&self, letter: char) -> bool {
        letter == ' ' || self.following.contains(&letter)
    }

    /// Whether no sequence can begin behind this letter, since it continues one. Dashes and quotes are common elsewhere too.
    fn blocks(&self, letter: char) -> bool {
        self.following.contains(&letter)
            && !"\u{2013}\u{2014}\u{2015}\u{2018}\u{2019}\u{201a}\u{201c}\u{201d}\u{201e}\u{2022}\u{2026}".contains(letter)
    }

    /// Length in letters of the sequences one behind the other that begin at `at`.
    fn run(&self, letters: &[char], at: usize) -> usize {
        let mut end = at;
        while let Some(more) = letters.get(end).and_then(|letter| self.first.iter().position(|first| first.contains(letter))) {
            let next = end + 2 + more;
            if next > letters.len() || !letters[end + 1..next].iter().all(|&letter| self.follows(letter)) {
                break;
            }
            end = next;
        }
        end - at
    }
}

/// The letter that Windows has where Latin-1 has the control characters U+0080 to U+009F.
pub(crate) fn windows_letter(letter: char) -> char {
    if matches!(letter, '\u{80}'..='\u{9f}') { PAGES[1].letters[letter as usize - 0x80] } else { letter }
}

/// The text as it was meant, as often as it was misread.
pub(crate) fn fix(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    while let Some(next) = step(&text).filter(|next| **next != *text) {
        text = Cow::Owned(next);
    }
    text
}

/// One repair; nothing for a text that looks sound or cannot be helped.
fn step(text: &str) -> Option<String> {
    if text.is_ascii() || !is_bad(text) {
        return None;
    }
    for page in PAGES.iter() {
        let Some(mut bytes) = page.encode(text) else { continue };
        if page.blanks {
            bytes = restore_blanks(bytes);
        }
        if page.windows {
            bytes = mark_lost(bytes);
        }
        if let Some(text) = decode(&bytes) {
            return Some(text);
        }
    }
    let mended = mend_parts(text);
    if mended != text {
        return Some(mended);
    }
    let latin = text.chars().all(|letter| letter <= '\u{ff}');
    if latin && !text.chars().any(|letter| matches!(letter, '\u{81}' | '\u{8d}' | '\u{8f}' | '\u{90}' | '\u{9d}')) {
        let windows: String = text.chars().map(windows_letter).collect();
        if windows != text {
            return Some(windows);
        }
    }
    Some(text.chars().map(windows_letter).collect())
}

/// Repairs the parts of a text that look like UTF-8, when the text as a whole cannot have been in one encoding.
fn mend_parts(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let blocked = at > 0 && CLUES.blocks(letters[at - 1]);
        let length = if blocked { 0 } else { CLUES.run(&letters, at) };
        if length == 0 {
            out.push(letters[at]);
            at += 1;
            continue;
        }
        let part: String = letters[at..at + length].iter().collect();
        // A part as long as the whole would come here again without end.
        if length < letters.len() && is_bad(&part) {
            out.push_str(&fix(&part))
        } else {
            out.push_str(&part)
        }
        at += length;
    }
    out
}

/// Puts the byte 0xa0 back where it became a blank inside a sequence of UTF-8.
fn restore_blanks(bytes: Vec<u8>) -> Vec<u8> {
    if blank_sequence(&bytes).is_none() {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len() + 2);
    let mut at = 0;
    // A lone `à`: the blank behind it stays one, except in words that begin with it in Portuguese.
    while at < bytes.len() {
        let rest = &bytes[at..];
        let joined = [&b" "[..], b"quele", b"quela", b"quilo", b"s "];
        if rest.starts_with(b"\xc3 ") && !joined.iter().any(|word| rest[2..].starts_with(word)) {
            out.extend_from_slice(b"\xc3\xa0 ");
            at += 2;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    let mut at = 0;
    while let Some((start, length)) = blank_sequence(&out[at..]) {
        let here = &mut out[at + start..at + start + length];
        here.iter_mut().filter(|byte| **byte == b' ').for_each(|byte| *byte = 0xa0);
        at += start + length;
    }
    out
}

/// Place and length of the first sequence with a blank that would make a likely letter with 0xa0 in its place.
fn blank_sequence(bytes: &[u8]) -> Option<(usize, usize)> {
    // 0xa0 itself is none of them, nor 0x85, which would be an ellipsis.
    let near = |byte: u8| matches!(byte, 0x80..=0x84 | 0x86..=0x9f | 0xa1..=0xbf);
    let any = |byte: u8| matches!(byte, 0x80..=0xbf);
    bytes.iter().enumerate().find_map(|(at, _)| {
        let length = match bytes[at..] {
            [0xc2 | 0xc3 | 0xc5 | 0xce | 0xd0 | 0xd9, b' ', ..] => 2,
            [0xe2 | 0xe3, b' ', c, ..] if near(c) => 3,
            [0xe0..=0xe3, b, b' ', ..] if near(b) => 3,
            [0xf0, b' ', c, d, ..] if any(c) && any(d) => 4,
            [0xf0, b, b' ', d, ..] if any(b) && any(d) => 4,
            [0xf0, b, c, b' ', ..] if any(b) && any(c) => 4,
            _ => return None,
        };
        Some((at, length))
    })
}

/// Replaces sequences of UTF-8 in which bytes were lost by the sequence of the replacement character.
fn mark_lost(bytes: Vec<u8>) -> Vec<u8> {
    if !bytes.iter().any(|byte| matches!(*byte, LOST | b'?')) {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match lost_sequence(&bytes[at..]) {
            0 => {
                out.push(bytes[at]);
                at += 1;
            }
            length => {
                out.extend_from_slice("\u{fffd}".as_bytes());
                at += length;
            }
        }
    }
    out
}

/// Length of the sequence with a lost byte at the front. A question mark may be a lost byte, once in a sequence.
fn lost_sequence(bytes: &[u8]) -> usize {
    let lost = |byte: u8| matches!(byte, LOST | b'?');
    let kept = |byte: u8| matches!(byte, LOST | 0x80..=0xbf);
    let either = |byte: u8| lost(byte) || kept(byte);
    match *bytes {
        [0xc2..=0xdf, LOST, ..] | [0xc2 | 0xc3, b'?', ..] => 2,
        [0xed, 0xa0..=0xaf, ..] if surrogates(bytes, lost, either) => 6,
        [0xe0..=0xef, b, c, ..] if lost(b) && kept(c) || kept(b) && lost(c) => 3,
        [0xf0..=0xf4, b, c, d, ..] if lost(b) && kept(c) && kept(d) || kept(b) && lost(c) && kept(d) || kept(b) && kept(c) && lost(d) => 4,
        [LOST, ..] => 1,
        _ => 0,
    }
}

/// Whether two halves of a surrogate pair stand at the front, the last byte of one of them lost.
fn surrogates(bytes: &[u8], lost: impl Fn(u8) -> bool, either: impl Fn(u8) -> bool) -> bool {
    matches!(*bytes, [0xed, 0xa0..=0xaf, c, 0xed, 0xb0..=0xbf, f, ..] if lost(c) && either(f) || either(c) && lost(f))
}

/// UTF-8, and two dialects of it: surrogate pairs of three bytes each, and 0 in two bytes.
fn decode(bytes: &[u8]) -> Option<String> {
    if !bytes.iter().any(|byte| matches!(byte, 0xed | 0xc0)) {
        return std::str::from_utf8(bytes).ok().map(str::to_string);
    }
    let mut out = String::with_capacity(bytes.len());
    let mut at = 0;
    let mut plain = 0;
    while at < bytes.len() {
        let (letter, length) = match bytes[at..] {
            [0xc0, 0x80, ..] => ('\0', 2),
            [0xed, b @ 0xa0..=0xaf, c @ 0x80..=0xbf, 0xed, e @ 0xb0..=0xbf, f @ 0x80..=0xbf, ..] => {
                let bits = |byte: u8, mask: u8, shift: u32| u32::from(byte & mask) << shift;
                (char::from_u32(0x1_0000 + bits(b, 0xf, 16) + bits(c, 0x3f, 10) + bits(e, 0xf, 6) + bits(f, 0x3f, 0))?, 6)
            }
            _ => {
                at += 1;
                continue;
            }
        };
        out.push_str(std::str::from_utf8(&bytes[plain..at]).ok()?);
        out.push(letter);
        at += length;
        plain = at;
    }
    out.push_str(std::str::from_utf8(&bytes[plain..]).ok()?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Answers of ftfy 6.3.
    #[test]
    fn misread_texts_come_back() {
        let cases = [
            ("cafÃ©", "café"),
            ("s\u{c3}\u{b3}", "só"),
            ("âœ” No problems", "✔ No problems"),
            ("voilÃ le travail", "voilà le travail"),
            ("doesnâ€™t, â€œquotedâ€\u{fffd}", "doesn’t, “quoted\u{fffd}"),
            ("РїСЂРёРІРµС‚", "привет"),
            ("Î±Î²Î³", "αβγ"),
            ("\u{f0}\u{178}\u{2dc}\u{80}", "\u{1f600}"),
            ("sound: é, ü, œuvre, naïve, Ñandú", "sound: é, ü, œuvre, naïve, Ñandú"),
        ];
        for (text, expected) in cases {
            assert_eq!(fix(text), expected, "{text}");
        }
    }

    #[test]
    fn dialects_are_read() {
        assert_eq!(decode(b"a\xc0\x80b").as_deref(), Some("a\0b"));
        assert_eq!(decode(b"\xed\xa0\xbd\xed\xb8\x80").as_deref(), Some("\u{1f600}"));
        assert_eq!(decode(b"\xed\xa0\xbd"), None);
        assert_eq!(decode("\u{d55c}".as_bytes()).as_deref(), Some("\u{d55c}"));
    }

    proptest! {
        #[test]
        fn any_text_ends(text in "[ÃÂ€â¡™œ©а-яЂÐÑ\u{80}-\u{ff} a?]{0,60}") {
            let _ = fix(&text);
        }

        #[test]
        fn what_was_misread_as_latin1_comes_back(text in "[а-я]{3,20}") {
            let misread: String = text.bytes().map(char::from).collect();
            prop_assert_eq!(fix(&misread), text);
        }
    }
}
