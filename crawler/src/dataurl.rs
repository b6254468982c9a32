//! `data:` URLs: images written into the page itself (RFC 2397).

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
    fn others_are_not() {
        for bad in ["data:text/html,<p>", "data:image/png;base64,", "data:image/png;base64,a!b", "http://e.org/,", "data:image/png", "é,é"]
        {
            assert_eq!(decode(bad, 100), None, "{bad}");
        }
        assert_eq!(decode(&format!("data:image/png;base64,{}", "A".repeat(200)), 100), None);
    }
}
