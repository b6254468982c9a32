//! Pairs as lines of JSON.
//!
//! What the pairs of a page and of an image share is written out once, and copied into each line.

use shards::PairId;

/// Lines not yet taken, and what the next ones share.
#[derive(Default)]
pub(crate) struct Lines {
    done: Vec<u8>,
    is_taken: bool,
    /// Fields up to the caption.
    before: Vec<u8>,
    /// Fields of the page, then those of the image.
    after: Vec<u8>,
    page: usize,
}

impl Lines {
    /// Pairs of this page follow.
    pub(crate) fn begin_page(&mut self, page_url: &str, source: &str, found_ms: i64) {
        self.after.clear();
        field(&mut self.after, ",\"page_url\":", page_url);
        field(&mut self.after, ",\"source\":", source);
        self.after.extend_from_slice(b",\"found_ms\":");
        self.after.extend_from_slice(found_ms.to_string().as_bytes());
        self.page = self.after.len();
    }

    /// Pairs of this image of the page follow.
    pub(crate) fn begin_image(&mut self, url: &str, nearby: &str, licence: &str, author: &str, opt_out: &str) {
        self.before.clear();
        field(&mut self.before, "{\"url\":", url);
        self.after.truncate(self.page);
        for (name, text) in [(",\"nearby\":", nearby), (",\"licence\":", licence), (",\"author\":", author), (",\"opt_out\":", opt_out)] {
            if !text.is_empty() {
                field(&mut self.after, name, text);
            }
        }
    }

    /// Writes a pair of the image.
    pub(crate) fn pair(&mut self, caption: &str, name: &str, id: PairId) {
        if std::mem::take(&mut self.is_taken) {
            self.done.clear();
        }
        self.done.extend_from_slice(&self.before);
        field(&mut self.done, ",\"caption\":", caption);
        field(&mut self.done, ",\"field\":", name);
        self.done.extend_from_slice(&self.after);
        self.done.extend_from_slice(b",\"pair_id\":\"");
        self.done.extend_from_slice(&id.hex());
        self.done.extend_from_slice(b"\"}\n");
    }

    /// The lines since the last time.
    pub(crate) fn done(&mut self) -> &[u8] {
        if std::mem::replace(&mut self.is_taken, true) {
            self.done.clear();
        }
        &self.done
    }
}

/// Writes a name, as it stands, and a text as a JSON string.
fn field(out: &mut Vec<u8>, name: &str, text: &str) {
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
    let mut rest = text.as_bytes();
    if rest.iter().fold(false, |found, &byte| found | (byte < b' ') | (byte == b'"') | (byte == b'\\')) {
        while let Some(at) = rest.iter().position(|&byte| byte < b' ' || byte == b'"' || byte == b'\\') {
            out.extend_from_slice(&rest[..at]);
            escape(out, rest[at]);
            rest = &rest[at + 1..];
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Writes a byte that cannot stand in a string.
fn escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        8 => out.extend_from_slice(b"\\b"),
        12 => out.extend_from_slice(b"\\f"),
        _ => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pages_and_images_are_shared() {
        let mut lines = Lines::default();
        lines.begin_page("p", "s", -1);
        lines.begin_image("u", "", "l", "", "noai");
        lines.pair("c", "alt", PairId([0xab; 16]));
        lines.begin_image("v", "n", "", "", "");
        lines.pair("d", "title", PairId([0; 16]));
        let expected = "{\"url\":\"u\",\"caption\":\"c\",\"field\":\"alt\",\"page_url\":\"p\",\"source\":\"s\",\"found_ms\":-1,\"licence\":\"l\",\"opt_out\":\"noai\",\
            \"pair_id\":\"abababababababababababababababab\"}\n\
            {\"url\":\"v\",\"caption\":\"d\",\"field\":\"title\",\"page_url\":\"p\",\"source\":\"s\",\"found_ms\":-1,\"nearby\":\"n\",\
            \"pair_id\":\"00000000000000000000000000000000\"}\n";
        assert_eq!(lines.done(), expected.as_bytes());
        assert_eq!(lines.done(), b"");
        lines.pair("d", "title", PairId([0; 16]));
        assert_eq!(lines.done(), expected.lines().nth(1).map(|line| format!("{line}\n")).unwrap_or_default().as_bytes());
    }

    proptest! {
        #[test]
        fn strings_are_those_of_serde(text in "[\\x00-\\x7fé\u{2028}]{0,20}") {
            let mut out = Vec::new();
            field(&mut out, "", &text);
            prop_assert_eq!(String::from_utf8(out).ok(), serde_json::to_string(&text).ok());
        }
    }
}
