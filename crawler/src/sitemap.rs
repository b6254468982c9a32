//! Sitemaps (sitemaps.org): lists of a site's pages, and lists of such lists, as XML or plain lines, packed or not.
//!
//! Read by their few tags rather than as XML, because a damaged sitemap is still worth its addresses.

use crate::charset;
use crate::urls::web_url;
use encoding_rs::{Encoding, UTF_8};
use flate2::read::GzDecoder;
use std::borrow::Cow;
use std::io::Read;
use url::Url;

/// Bytes of a sitemap once unpacked; the protocol's own limit.
pub(crate) const MAX_BYTES: usize = 50 << 20;
/// Addresses of a sitemap; the protocol's own limit.
const MAX_URLS: usize = 50_000;

/// Bytes of the text of an element: an address with its escapes.
const MAX_TEXT: usize = 16 << 10;

/// What a sitemap names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Sitemap {
    /// Pages.
    pub(crate) pages: Vec<Url>,
    /// Further sitemaps.
    pub(crate) maps: Vec<Url>,
}

/// Reads a sitemap. Something else gives an empty one.
pub(crate) fn read(bytes: &[u8]) -> Sitemap {
    let bytes = unpacked(bytes);
    let encoding = Encoding::for_bom(&bytes).map_or(UTF_8, |(encoding, _)| encoding);
    let text = encoding.decode(&bytes).0;
    let text = text.trim_start();
    if !text.starts_with('<') {
        return Sitemap {
            pages: text.split(['\n', '\r']).filter_map(|line| web_url(None, line)).take(MAX_URLS).collect(),
            maps: Vec::new(),
        };
    }
    let Some(root) = tags(text).next() else { return Sitemap::default() };
    match root.local() {
        "sitemapindex" => Sitemap { pages: Vec::new(), maps: texts(text, root.prefix(), "loc") },
        // Feeds count as sitemaps too.
        "rss" | "RDF" => Sitemap { pages: texts(text, "", "link"), maps: Vec::new() },
        "feed" => Sitemap { pages: hrefs(text, root.prefix()), maps: Vec::new() },
        _ => Sitemap { pages: texts(text, root.prefix(), "loc"), maps: Vec::new() },
    }
}

/// The bytes without gzip; what a damaged file gives before it breaks counts.
fn unpacked(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::new();
    let _ = GzDecoder::new(bytes).take(MAX_BYTES as u64).read_to_end(&mut out);
    Cow::Owned(out)
}

/// A start tag.
struct Tag<'a> {
    /// Its name with prefix.
    name: &'a str,
    /// What stands between name and end.
    attributes: &'a str,
    /// What follows it.
    rest: &'a str,
}

impl<'a> Tag<'a> {
    fn prefix(&self) -> &'a str {
        self.name.rsplit_once(':').map_or("", |(prefix, _)| prefix)
    }

    fn local(&self) -> &'a str {
        self.name.rsplit_once(':').map_or(self.name, |(_, local)| local)
    }

    /// Whether it is `local` in the namespace that the prefix stands for.
    fn is(&self, prefix: &str, local: &str) -> bool {
        self.prefix() == prefix && self.local() == local
    }
}

/// The start tags outside comments.
fn tags(text: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = &rest[rest.find('<')? + 1..];
            if let Some(comment) = rest.strip_prefix("!--") {
                rest = &comment[comment.find("-->")?..];
            } else if rest.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                let end = rest.find('>')?;
                let (tag, after) = (&rest[..end], &rest[end + 1..]);
                let (name, attributes) = tag.split_at(tag.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(end));
                rest = after;
                return Some(Tag { name, attributes, rest: after });
            }
        }
    })
}

/// The addresses that are the text of elements.
fn texts(text: &str, prefix: &str, local: &str) -> Vec<Url> {
    let inside = tags(text).filter(|tag| tag.is(prefix, local)).take(MAX_URLS).filter_map(|tag| {
        // An address longer than this is none, and an end that is missing is not looked for in all that follows.
        let rest = &tag.rest[..tag.rest.floor_char_boundary(MAX_TEXT)];
        // What a CDATA section holds may have any sign in it.
        let end = if rest.trim_start().starts_with(CDATA) { rest.find("]]>")? } else { rest.find('<')? };
        web_url(None, &plain(&rest[..end]))
    });
    inside.collect()
}

/// The addresses that links of a feed name as the page of an entry.
fn hrefs(text: &str, prefix: &str) -> Vec<Url> {
    let links = tags(text).filter(|tag| tag.is(prefix, "link")).take(MAX_URLS).filter_map(|tag| {
        let value = |name: &str| charset::attributes(tag.attributes).find(|(found, _)| *found == name).map(|(_, value)| value);
        let is_page = value("rel").is_none_or(|rel| rel == "alternate");
        value("href").filter(|_| is_page).and_then(|href| web_url(None, &plain(href)))
    });
    links.collect()
}

const CDATA: &str = "<![CDATA[";

/// Text without CDATA's bracket and without entities.
fn plain(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix(CDATA) {
        Some(data) => data.trim().to_string(),
        None => html_escape::decode_html_entities(text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    fn urls(urls: &[Url]) -> Vec<&str> {
        urls.iter().map(Url::as_str).collect()
    }

    const SET: &str = "\u{feff}<?xml version='1.0'?>\n<urlset xmlns:image='x'><!-- <loc>http://e.org/not</loc> --><url><loc>\n http://e.org/a?b=1&amp;c=2 </loc>\
        <image:image><image:loc>http://e.org/i.jpg</image:loc></image:image></url><url><loc><![CDATA[http://e.org/d]]></loc></url>\
        <url><loc>ftp://e.org/</loc></url><url><loc>http://e.org/cut";

    #[test]
    fn sets_indices_and_lines_are_read() {
        let expected = ["http://e.org/a?b=1&c=2", "http://e.org/d"];
        assert_eq!(urls(&read(SET.as_bytes()).pages), expected);
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(SET.as_bytes()).expect("packed");
        let packed = packer.finish().expect("packed");
        assert_eq!(urls(&read(&packed).pages), expected);
        let index = read(b"<sitemapindex><sitemap><loc>http://e.org/1.xml</loc></sitemap></sitemapindex>");
        assert_eq!((urls(&index.maps), index.pages.len()), (vec!["http://e.org/1.xml"], 0));
        assert_eq!(urls(&read(b"http://e.org/a\r\nnothing\n\nhttp://e.org/b").pages), ["http://e.org/a", "http://e.org/b"]);
        assert_eq!(read(b"\x1f\x8bnonsense"), Sitemap::default());
        assert_eq!(urls(&read(b"http://e.org/a\rhttp://e.org/b\r").pages), ["http://e.org/a", "http://e.org/b"]);
    }

    #[test]
    fn xml_is_read_as_it_may_be_written() {
        let one = |text: &str| urls(&read(text.as_bytes()).pages).join(" ");
        assert_eq!(one("<ns0:urlset xmlns:ns0='s'><ns0:url><ns0:loc>http://e.org/a</ns0:loc></ns0:url></ns0:urlset>"), "http://e.org/a");
        assert_eq!(
            one("<urlset><url><loc xml:lang=\"en\">http://e.org/a</loc></url><loc >http://e.org/b</loc ></urlset>"),
            "http://e.org/a http://e.org/b"
        );
        assert_eq!(one("<urlset><loc>http://e.org/?a=1&#38;b=2&#x26;c=3&amp;d=4</loc></urlset>"), "http://e.org/?a=1&b=2&c=3&d=4");
        assert_eq!(one("<!-- <sitemapindex> --><urlset><loc>http://e.org/a</loc></urlset>"), "http://e.org/a");
        assert_eq!(one("<urlset><loc>http://e.org/cut</l"), "http://e.org/cut");
        assert_eq!(
            one("<rss><channel><link>http://e.org/</link><item><link>http://e.org/a</link></item></channel></rss>"),
            "http://e.org/ http://e.org/a"
        );
        let feed =
            "<feed xmlns='a'><link rel='self' href='http://e.org/feed'/><entry><link href=\"http://e.org/a?b&amp;c\"/></entry></feed>";
        assert_eq!(one(feed), "http://e.org/a?b&c");
        let wide: Vec<u8> = "\u{feff}<urlset><loc>http://e.org/a</loc></urlset>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(urls(&read(&wide).pages), ["http://e.org/a"]);
    }

    #[test]
    fn a_sitemap_has_its_limit() {
        let many = "<urlset>".to_string() + &"<url><loc>http://e.org/</loc></url>".repeat(MAX_URLS + 10);
        assert_eq!(read(many.as_bytes()).pages.len(), MAX_URLS);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(<loc>|</loc>|<!--|-->|http://e.org/|<|é|&amp;|\n){0,20}") {
            read(text.as_bytes());
        }
    }
}
