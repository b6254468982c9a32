//! Which encoding a page is in: byte order mark, then the header, then the page's own words, then a guess.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::borrow::Cow;

/// Bytes in which a page may name its encoding. The standard's first look takes 1,024, but browsers obey a later `meta` all the same
/// (WHATWG HTML, 13.2.3.2 and 13.2.3.4).
const PRESCAN: usize = 1 << 16;
/// Bytes of a tag that are looked at.
const MAX_TAG: usize = 1024;
/// Elements whose content is no markup.
const OPAQUE: [&str; 4] = ["script", "style", "title", "noscript"];

/// Decodes a page; `content_type` is the header's value. What cannot be decoded becomes U+FFFD.
pub(crate) fn decode<'a>(bytes: &'a [u8], content_type: Option<&str>) -> Cow<'a, str> {
    let announced = content_type.and_then(|text| charset_of(&text.to_ascii_lowercase()));
    let encoding = announced.or_else(|| named_in(bytes)).unwrap_or_else(|| guess(bytes));
    // `decode` lets a byte order mark go before the encoding given.
    encoding.decode(bytes).0
}

/// The encoding that a content type (in lower case) names by its `charset`.
fn charset_of(content_type: &str) -> Option<&'static Encoding> {
    content_type.match_indices("charset").find_map(|(at, word)| {
        let value = content_type[at + word.len()..].trim_start().strip_prefix('=')?.trim_start();
        let label = match value.chars().next()? {
            quote @ ('"' | '\'') => value[1..].split(quote).next()?,
            _ => value.split([';', ' ', '\t', ',']).next()?,
        };
        Encoding::for_label(label.trim().as_bytes())
    })
}

/// The encoding that the start of the page names: an XML declaration, or a `meta` element.
fn named_in(bytes: &[u8]) -> Option<&'static Encoding> {
    // Markup is ASCII in every encoding but UTF-16, which has a mark or is not known at all.
    let head: String = bytes[..bytes.len().min(PRESCAN)].iter().map(|&byte| byte.to_ascii_lowercase() as char).collect();
    let encoding = declared(&head).or_else(|| in_metas(&head))?;
    // A page whose tag can be read as ASCII is not UTF-16, whatever it says.
    Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
}

fn declared(head: &str) -> Option<&'static Encoding> {
    let declaration = head.strip_prefix("<?xml")?.split("?>").next()?;
    let (_, label) = attributes(declaration).find(|(name, _)| *name == "encoding")?;
    Encoding::for_label(label.as_bytes())
}

/// The first `meta` element outside comments and scripts that names an encoding.
fn in_metas(head: &str) -> Option<&'static Encoding> {
    let mut rest = head;
    loop {
        rest = &rest[rest.find('<')? + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = &comment[comment.find("-->")?..];
            continue;
        }
        let name = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())];
        if OPAQUE.contains(&name) {
            let content = &rest[name.len()..];
            rest = &content[content.find(&format!("</{name}"))?..];
        } else if name == "meta"
            && let Some(encoding) = of_meta(&rest[name.len()..rest.floor_char_boundary(name.len() + MAX_TAG)])
        {
            return Some(encoding);
        }
    }
}

/// The encoding that a `meta` element names: by `charset`, or as a content type.
fn of_meta(tag: &str) -> Option<&'static Encoding> {
    let (mut charset, mut content, mut is_type) = (None, None, false);
    for (name, value) in attributes(tag) {
        match name {
            "charset" => charset = charset.or_else(|| Encoding::for_label(value.trim().as_bytes())),
            "content" => content = content.or_else(|| charset_of(value)),
            "http-equiv" => is_type |= value.trim() == "content-type",
            _ => {}
        }
    }
    charset.or(content.filter(|_| is_type))
}

/// Names and values of a tag's attributes, up to its end.
pub(crate) fn attributes(tag: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = tag;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() || rest.starts_with('>') {
            return None;
        }
        // An equals sign at the start is part of the name.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest[first..].find(|c: char| c.is_ascii_whitespace() || "/>=".contains(c)).map_or(rest.len(), |at| first + at);
        let (name, after) = rest.split_at(end);
        let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start) else {
            rest = after;
            return Some((name, ""));
        };
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            _ => value.split_at(value.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(value.len())),
        };
        rest = after;
        Some((name, value))
    })
}

/// UTF-8 where it is valid or nearly so, the web's old default elsewhere. Old encodings hardly ever give a valid sequence of UTF-8
/// by chance, so a page with several of them for each broken one is damaged UTF-8.
fn guess(bytes: &[u8]) -> &'static Encoding {
    let (mut letters, mut broken) = (0usize, 0usize);
    for chunk in bytes.utf8_chunks() {
        letters += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    if letters >= 3 * broken { UTF_8 } else { WINDOWS_1252 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_before_header_before_page_before_guess() {
        assert_eq!(decode(b"\xef\xbb\xbf\xc3\xa9", Some("text/html; charset=iso-8859-1")), "é");
        assert_eq!(decode(b"\xe9", Some("text/html; Charset=\"ISO-8859-1\"")), "é");
        assert_eq!(decode("é".as_bytes(), Some("text/html")), "é");
        assert_eq!(decode(b"\xe9", None), "é");
        assert_eq!(decode(b"<meta charset=shift_jis>\x83\x65", None), "<meta charset=shift_jis>テ");
        let page = b"<META http-equiv=content-type content='text/html; charset=windows-1251'>\xe9";
        assert!(decode(page, None).ends_with('й'));
        assert!(decode("<meta charset=utf-16>é".as_bytes(), None).ends_with('é'));
        assert_eq!(decode(b"\xff\xfea\0b\0", None), "ab");
        assert_eq!(decode(b"\xcf", Some("text/html; charset = windows-1251")), "П");
        assert_eq!(decode(b"\xc3\xa9\xc3\xa9\xc3\xa9 \xff", None), "ééé \u{fffd}");
        assert_eq!(decode(b"d\xe9j\xe0 \xc3\xa9", None), "déjà Ã©");
    }

    #[test]
    fn only_what_names_an_encoding_does() {
        let russian = "Привет";
        let utf_8 = |head: &str| decode(format!("{head}{russian}").as_bytes(), None).ends_with(russian);
        assert!(utf_8("<meta name=description content='charset = koi8-r explained'><meta charset=utf-8>"));
        assert!(utf_8("<!-- <meta charset=koi8-r> --><meta charset=utf-8>"));
        assert!(utf_8("<script>'<meta charset=koi8-r>'</script><meta charset=utf-8>"));
        assert!(utf_8("<meta charset=nonsense><meta http-equiv=content-type content='text/html'>"));
        let old = |head: &str| {
            let text = encoding_rs::WINDOWS_1251.encode(russian).0;
            decode(&[head.as_bytes(), &text].concat(), None).ends_with(russian)
        };
        assert!(old("<?xml version='1.0' encoding=\"windows-1251\"?>"));
        assert!(old(&format!("<script>{}</script><meta charset='windows-1251' />", "x".repeat(5000))));
        assert!(old("<meta content='text/html; charset=windows-1251' http-equiv=Content-Type>"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(<meta |<!--|-->|<script|</script|charset|=|'|\"|>|/| |é|utf-8|<\\?xml|content){0,20}") {
            decode(text.as_bytes(), Some(&text));
        }
    }
}
