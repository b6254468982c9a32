//! HTML's character references, twice over: as browsers and Python's `html.unescape` resolve them, and with the care of
//! `ftfy`, which wants the semicolon.

use markup5ever::data::{C1_REPLACEMENTS, NAMED_ENTITIES};
use std::borrow::Cow;

/// Longest name that can be a reference, in characters without the semicolon.
const MAX_NAME: usize = 32;
/// Longest name that is resolved with care.
const MAX_CAREFUL: usize = 24;

/// Resolves references as browsers do: the semicolon may be missing, names are found in front of what follows them.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    replace(text, |after| {
        if let Some(number) = after.strip_prefix('#') { numeric(number).map(|(text, length)| (text, length + 1)) } else { named(after) }
    })
}

/// Resolves only what is certainly a reference: whole names with a semicolon, names in capitals where these mean nothing
/// else (`&EACUTE;`), and numbers.
pub(crate) fn unescape_carefully(text: &str) -> Cow<'_, str> {
    replace(text, |after| {
        let sign = usize::from(after.starts_with('#'));
        let length = after[sign..].bytes().take_while(u8::is_ascii_alphanumeric).count();
        if !(1..=MAX_CAREFUL).contains(&length) || !after[sign + length..].starts_with(';') {
            return None;
        }
        let whole = &after[..sign + length + 1];
        let text = if sign == 0 {
            whole_name(whole).or_else(|| capitals(whole))?
        } else {
            // A number of other digits than it says (`&#x12g;`) keeps its semicolon and is left alone.
            let (text, used) = numeric(&whole[1..])?;
            (used + 1 == whole.len() && text != ";").then_some(text)?
        };
        Some((text, whole.len()))
    })
}

/// Replaces what `reference` finds behind each `&`: the text and how many bytes of the rest it stands for.
fn replace(text: &str, reference: impl Fn(&str) -> Option<(String, usize)>) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        match reference(after) {
            Some((text, length)) => {
                out.push_str(&text);
                rest = &after[length..];
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What `#` is followed by: digits and perhaps a semicolon.
fn numeric(number: &str) -> Option<(String, usize)> {
    let hexadecimal = number.starts_with(['x', 'X']) && number[1..].starts_with(|c: char| c.is_ascii_hexdigit());
    let (radix, start) = if hexadecimal { (16, 1) } else { (10, 0) };
    let digits = number[start..].bytes().take_while(|byte| char::from(*byte).is_digit(radix)).count();
    if digits == 0 {
        return None;
    }
    let end = start + digits;
    let value = u32::from_str_radix(&number[start..end], radix).unwrap_or(u32::MAX);
    let length = end + usize::from(number[end..].starts_with(';'));
    Some((character(value).map(String::from).unwrap_or_default(), length))
}

/// The character that browsers make of a number; nothing for those that no text may hold.
fn character(number: u32) -> Option<char> {
    match number {
        0 | 0xd800..=0xdfff | 0x11_0000.. => Some('\u{fffd}'),
        // Numbers of the control characters are read as Windows' letters.
        0x80..=0x9f => C1_REPLACEMENTS[(number - 0x80) as usize].or(char::from_u32(number)),
        1..=8 | 0xb | 0xe..=0x1f | 0x7f | 0xfdd0..=0xfdef => None,
        _ if number & 0xfffe == 0xfffe => None,
        _ => char::from_u32(number),
    }
}

/// The text of a name, which is in the list with its semicolon and sometimes without.
fn whole_name(name: &str) -> Option<String> {
    let &(first, second) = NAMED_ENTITIES.get(name)?;
    // Beginnings of names are in the list too, with zeros.
    let first = char::from_u32(first).filter(|letter| *letter != '\0')?;
    Some(std::iter::once(first).chain(char::from_u32(second).filter(|letter| *letter != '\0')).collect())
}

fn named(after: &str) -> Option<(String, usize)> {
    let ends = |c: char| matches!(c, '\t' | '\n' | '\u{c}' | ' ' | '<' | '&' | '#' | ';');
    let mut cuts: Vec<usize> =
        after.char_indices().take(MAX_NAME).take_while(|(_, c)| !ends(*c)).map(|(at, c)| at + c.len_utf8()).collect();
    let &end = cuts.last()?;
    if after[end..].starts_with(';') {
        cuts.push(end + 1);
    }
    // The whole, then ever shorter beginnings of at least two characters.
    let whole = cuts.len() - 1;
    cuts.iter()
        .enumerate()
        .rev()
        .filter(|(at, _)| *at == whole || *at > 0)
        .find_map(|(_, &cut)| whole_name(&after[..cut]).map(|text| (text, cut)))
}

/// A name in capitals, when in small letters it is one and browsers make nothing of the capitals.
fn capitals(whole: &str) -> Option<String> {
    let small = whole.to_ascii_lowercase();
    if whole.bytes().any(|byte| byte.is_ascii_lowercase()) || named(whole).is_some() {
        return None;
    }
    whole_name(&small).map(|text| text.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Answers of Python 3.11's `html.unescape`.
    #[test]
    fn browsers_ways() {
        let cases = [
            ("&lt;b&gt; &amp;amp;", "<b> &amp;"),
            ("this&not that, &notin; &notit;", "this\u{ac} that, \u{2209} \u{ac}it;"),
            ("&#65;&#x42;&#X43 &#;&#x;&#xg", "ABC &#;&#x;&#xg"),
            ("&#0;&#128;&#129;&#xd800;&#x110000;&#99999999999;", "\u{fffd}\u{20ac}\u{81}\u{fffd}\u{fffd}\u{fffd}"),
            ("a&#1;b&#xfdd0;c&#xffff;d&#13;", "abcd\r"),
            ("&ampersand &copy2024 & &", "&ersand \u{a9}2024 & &"),
            ("&NotEqualTilde; &fjlig;", "\u{2242}\u{338} fj"),
            ("&\u{e9}t\u{e9};", "&\u{e9}t\u{e9};"),
        ];
        for (text, expected) in cases {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }

    /// Answers of ftfy 6.3.
    #[test]
    fn careful_ways() {
        let cases = [
            ("P&EACUTE;REZ &eacute; &SZLIG; &nTILDE;", "P\u{c9}REZ \u{e9} SS &nTILDE;"),
            ("this&not that &amp &amp;", "this&not that &amp &"),
            ("&GTDOT; &LT;", "&GTDOT; <"),
            ("&#65; &#65 &#x41g; &#1;", "A &#65 &#x41g; "),
        ];
        for (text, expected) in cases {
            assert_eq!(unescape_carefully(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[&#xX;a-zA-Z0-9\u{e9} ]{0,40}") {
            let _ = (unescape(&text), unescape_carefully(&text));
        }
    }
}
