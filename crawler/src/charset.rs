//! Which encoding a page is in: byte order mark, then the header, then the page's own words, then a guess.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::borrow::Cow;

/// Bytes in which a page must name its encoding (WHATWG HTML, 13.2.3.2).
const PRESCAN: usize = 1024;

/// Decodes a page; `content_type` is the header's value. What cannot be decoded becomes U+FFFD.
pub(crate) fn decode<'a>(bytes: &'a [u8], content_type: Option<&str>) -> Cow<'a, str> {
    let announced = content_type.and_then(charset_of).and_then(|label| Encoding::for_label(label.as_bytes()));
    let encoding = announced.or_else(|| named_in(bytes)).unwrap_or_else(|| guess(bytes));
    // `decode` lets a byte order mark go before the encoding given.
    encoding.decode(bytes).0
}

/// The `charset` parameter of a content type.
fn charset_of(content_type: &str) -> Option<&str> {
    let at = content_type.to_ascii_lowercase().find("charset=")? + "charset=".len();
    Some(content_type[at..].trim_start_matches(['"', '\'']).split(['"', '\'', ';', ' ']).next().unwrap_or_default())
}

/// The encoding that a `meta` element at the start of the page names.
fn named_in(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(PRESCAN)]).to_ascii_lowercase();
    let encoding = head.match_indices("<meta").find_map(|(at, _)| {
        let tag = head[at..].split('>').next()?;
        let value = tag[tag.find("charset")? + "charset".len()..].trim_start().strip_prefix('=')?.trim_start();
        let label = value.trim_start_matches(['"', '\'']).split(['"', '\'', ';', ' ', '/']).next()?;
        Encoding::for_label(label.as_bytes())
    })?;
    // A page whose tag can be read as ASCII is not UTF-16, whatever it says.
    Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
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
        assert_eq!(decode(b"\xc3\xa9\xc3\xa9\xc3\xa9 \xff", None), "ééé \u{fffd}");
        assert_eq!(decode(b"d\xe9j\xe0 \xc3\xa9", None), "déjà Ã©");
    }
}
