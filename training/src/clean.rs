//! Text as CLIP's tokenizer wants it, before it is cut into words.
//!
//! CLIP's code runs `ftfy.fix_text` first. The steps of it that concern ordinary text are here; repairing text that was
//! decoded with the wrong encoding is not.

use unicode_normalization::UnicodeNormalization;

/// Entities decoded twice, ligatures and wide forms resolved, quotes straightened, control characters dropped, NFC,
/// white space collapsed, lower case. Input beyond `max_bytes` is ignored.
pub(crate) fn clean(text: &str, max_bytes: usize) -> String {
    let text = &text[..text.floor_char_boundary(max_bytes)];
    if text.bytes().all(|byte| byte.is_ascii() && byte != b'&') {
        return collapse(text.chars()).to_ascii_lowercase();
    }
    let once = html_escape::decode_html_entities(text);
    let twice = html_escape::decode_html_entities(&once);
    let mut plain = String::with_capacity(twice.len());
    for letter in twice.chars() {
        simplify(letter, &mut plain);
    }
    collapse(plain.nfc()).to_lowercase()
}

/// Appends what `ftfy` makes of one character.
fn simplify(letter: char, out: &mut String) {
    match letter {
        '\u{2018}'..='\u{201b}' => out.push('\''),
        '\u{201c}'..='\u{201f}' => out.push('"'),
        // Latin ligatures and digraphs, then full-width and half-width forms: their compatibility decompositions.
        '\u{132}'..='\u{133}'
        | '\u{149}'
        | '\u{1c4}'..='\u{1cc}'
        | '\u{1f1}'..='\u{1f3}'
        | '\u{fb00}'..='\u{fb06}'
        | '\u{ff01}'..='\u{ffef}' => {
            out.extend(std::iter::once(letter).nfkc());
        }
        // Byte-order marks and direction marks that carry no text.
        '\u{feff}' | '\u{206a}'..='\u{206f}' | '\u{fff9}'..='\u{fffc}' => {}
        _ => out.push(letter),
    }
}

/// Runs of white space become one blank, none at the ends; other control characters go.
fn collapse(letters: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    let mut blank = false;
    for letter in letters {
        if letter.is_whitespace() {
            blank = true;
        } else if !letter.is_ascii_control() {
            if blank && !out.is_empty() {
                out.push(' ');
            }
            blank = false;
            out.push(letter);
        }
    }
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
