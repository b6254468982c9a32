//! One spelling for each URL, so that the same picture has the same identity wherever it is linked.

use std::borrow::Cow;
use url::Url;

/// Returns the canonical spelling of `url`: scheme and host in lower case, default port and fragment dropped, dot
/// segments resolved (all that the URL standard's parser does already), no dot behind the host, escapes in upper-case hex, and escaped unreserved
/// characters (RFC 3986, 6.2.2.2) written plainly.
pub fn canonical_url(url: &Url) -> String {
    let mut url = Cow::Borrowed(url);
    if url.fragment().is_some() {
        url.to_mut().set_fragment(None);
    }
    if url.query() == Some("") {
        url.to_mut().set_query(None);
    }
    if let Some(bare) = url.host_str().and_then(|host| host.strip_suffix('.')).filter(|bare| !bare.is_empty()).map(str::to_string) {
        // A name with the root's dot is the same name.
        let _ = url.to_mut().set_host(Some(&bare));
    }
    let text = url.as_str();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'%', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match escaped_byte(rest.as_bytes()) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(byte as char);
                rest = &rest[3..];
            }
            Some(byte) => {
                out.push_str(&format!("%{byte:02X}"));
                rest = &rest[3..];
            }
            None => {
                out.push('%');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The byte that an escape (`%` and two hex digits) at the start of `text` stands for; `None` where there is none.
pub fn escaped_byte(text: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = text else { return None };
    let digit = |byte: u8| (byte as char).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

/// The canonical spelling of a text that is an address of the web; `None` for others.
pub fn canonical_text(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then(|| canonical_url(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_agree() {
        let same = |a: &str, b: &str| {
            let parse = |text: &str| canonical_url(&Url::parse(text).expect("a URL"));
            assert_eq!(parse(a), parse(b));
        };
        same("HTTP://Example.org:80/a/../b.jpg#x", "http://example.org/b.jpg");
        same("http://e.org./b.jpg", "http://e.org/b.jpg");
        same("http://e.org/%7euser/a%c3%a9.jpg?", "http://e.org/~user/aé.jpg");
        for plain in ["http://e.org/100%/a", "http://e.org/i.png?x=100%+discount", "http://e.org/%-1%"] {
            assert_eq!(canonical_url(&Url::parse(plain).expect("a URL")), plain);
        }
    }
}
