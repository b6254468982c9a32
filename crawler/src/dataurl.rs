//! `data:` URLs: images written into the page itself (RFC 2397).

use memchr::memmem;

/// Bytes of the smallest GIF with something to see; blank ones of any size have fewer.
const MIN_GIF: usize = 100;

/// The bytes of a `data:` URL that says it is an image, at most `max_bytes`; `None` for anything else.
pub(crate) fn decode(url: &str, max_bytes: usize) -> Option<Vec<u8>> {
    let (head, body) = url.split_once(',')?;
    let head = head.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).map(|_| head[5..].trim().to_ascii_lowercase())?;
    if !head.starts_with("image/") || body.len() / 4 * 3 > max_bytes.saturating_mul(3) {
        return None;
    }
    let bytes = unescape(body);
    let bytes = if head.ends_with("base64") { base64(&bytes)? } else { bytes };
    (!bytes.is_empty() && bytes.len() <= max_bytes).then_some(bytes)
}

/// Whether an image has nothing to show, as those have that stand in for one that is loaded later: smaller than 3 by 3 pixels, a GIF of
/// a few bytes, or a drawing of one element.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"GIF8") && (10..MIN_GIF).contains(&bytes.len()) {
        return true;
    }
    if memmem::find(&bytes[..bytes.len().min(256)], b"<svg").is_some() {
        return bytes.windows(2).filter(|pair| pair[0] == b'<' && pair[1].is_ascii_alphabetic()).take(2).count() < 2;
    }
    size(bytes).is_some_and(|(width, height)| width < 3 && height < 3)
}

/// Width and height of a GIF, PNG or WebP, as its head says.
fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize, length: usize| {
        bytes.get(at..at + length).map(|bytes| bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte)))
    };
    match (bytes.get(..4)?, bytes.get(12..16)) {
        (b"GIF8", _) => Some((number(6, 2)?, number(8, 2)?)),
        (b"\x89PNG", _) => Some((number(16, 4)?.swap_bytes(), number(20, 4)?.swap_bytes())),
        (b"RIFF", Some(b"VP8X")) => Some((number(24, 3)? + 1, number(27, 3)? + 1)),
        (b"RIFF", Some(b"VP8L")) => number(21, 4).map(|bits| ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)),
        (b"RIFF", Some(b"VP8 ")) => Some((number(26, 2)? & 0x3fff, number(28, 2)? & 0x3fff)),
        _ => None,
    }
}

/// Resolves percent escapes; a `%` without two hex digits stays.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = shards::escaped_byte(&bytes[i..]);
        out.push(hex.unwrap_or(bytes[i]));
        i += if hex.is_some() { 3 } else { 1 };
    }
    out
}

/// Decodes base64 of either alphabet; blanks are skipped, padding ends it. `None` on any other character.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for &byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ if byte.is_ascii_whitespace() => continue,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_decoded() {
        assert_eq!(decode("data:image/png;base64,iVBORw0KGgo=", 100).as_deref(), Some(b"\x89PNG\r\n\x1a\n".as_slice()));
        assert_eq!(decode("DATA:image/png;base64,iVBO%0ARw0KGgo", 100).as_deref(), Some(b"\x89PNG\r\n\x1a\n".as_slice()));
        assert_eq!(decode("data:image/gif,GIF89a%00%", 100).as_deref(), Some(b"GIF89a\0%".as_slice()));
    }

    #[test]
    fn blank_ones_are_known() {
        let blank = |url: &str| is_blank(&decode(url, 1000).expect("an image"));
        assert!(blank("data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"));
        assert!(blank("data:image/gif;base64,R0lGODlhEAAJAIAAAP///wAAACH5BAEAAAAALAAAAAAQAAkAAAIKhI+py+0Po5yUFQA7"));
        assert!(blank(
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
        ));
        assert!(blank("data:image/webp;base64,UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="));
        assert!(blank("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 3 2'%3E%3C/svg%3E"));
        assert!(!blank("data:image/svg+xml,%3Csvg%3E%3Cpath d='M0 0'/%3E%3C/svg%3E"));
        assert!(
            !is_blank(b"GIF89a") && !is_blank(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x28\0\0\0\x1e") && !is_blank(b"RIFF") && !is_blank(b"")
        );
    }

    #[test]
    fn others_are_not() {
        for bad in ["data:text/html,<p>", "data:image/png;base64,", "data:image/png;base64,a!b", "http://e.org/,", "data:image/png", "é,é"]
        {
            assert_eq!(decode(bad, 100), None, "{bad}");
        }
        assert_eq!(decode(&format!("data:image/png;base64,{}", "A".repeat(200)), 100), None);
    }
}
