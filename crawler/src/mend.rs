//! JSON texts of writers that do not mind what a string may hold, made readable.
//!
//! Extracts of the web have captions that were cut inside a letter, so half of a pair of surrogates (`\ud83d`) stands alone; some have
//! backslashes and control characters as the page had them. A reader of JSON refuses the whole text for one of these.

/// Writes a text anew: halves of pairs of surrogates become U+FFFD, backslashes that escape nothing stand for themselves, control characters
/// in strings are escaped. A text without any of them stays as it is.
pub(crate) fn mend(text: &[u8]) -> Vec<u8> {
    let mut mended = Vec::with_capacity(text.len() + 64);
    let (mut at, mut in_string) = (0, false);
    while let Some(&byte) = text.get(at) {
        let length = match byte {
            b'\\' if in_string => escape(&text[at..], &mut mended),
            0..b' ' if in_string => {
                mended.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                1
            }
            _ => {
                in_string ^= byte == b'"';
                mended.push(byte);
                1
            }
        };
        at += length;
    }
    mended
}

/// Writes the escape that bytes begin with; gives its length.
fn escape(bytes: &[u8], mended: &mut Vec<u8>) -> usize {
    let length = match (bytes.get(1), unit(bytes)) {
        (Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'), _) => 2,
        (_, Some(0xd800..0xdc00)) if matches!(unit(&bytes[6..]), Some(0xdc00..0xe000)) => 12,
        (_, Some(0xd800..0xe000)) => {
            mended.extend_from_slice(b"\\ufffd");
            return 6;
        }
        (_, Some(_)) => 6,
        (_, None) => {
            mended.extend_from_slice(b"\\\\");
            return 1;
        }
    };
    mended.extend_from_slice(&bytes[..length]);
    length
}

/// The number in an escape `\uXXXX` that bytes begin with.
fn unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn strings_are_mended() {
        for (text, expected) in [
            (r#"["a \ud83d b"]"#, "a \u{fffd} b"),
            (r#"["\ud83d\ud83d\ude00\ude00"]"#, "\u{fffd}\u{1f600}\u{fffd}"),
            (r#"["go\xod \u12 \" \\"]"#, "go\\xod \\u12 \" \\"),
            ("[\"a\tb\n\"\t]", "a\tb\n"),
        ] {
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
            assert_eq!(serde_json::from_slice::<Value>(&mend(text.as_bytes())).expect(text)[0], expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn sound_texts_stay_and_all_end(strings in proptest::collection::vec("\\PC{0,9}[\\\\\"\n\u{1f600}]{0,3}", 0..5), any in "[\\\\\"ud8cfx0 \n]{0,30}") {
            let text = Value::from(strings).to_string();
            prop_assert_eq!(mend(text.as_bytes()), text.as_bytes());
            // What stands in one string is a string afterwards.
            let inner: String = any.chars().filter(|c| *c != '"').collect();
            let mended = mend(format!("\"{inner} \"").as_bytes());
            prop_assert!(inner.ends_with('\\') || serde_json::from_slice::<String>(&mended).is_ok());
            mend(any.as_bytes());
        }
    }
}
