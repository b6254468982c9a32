//! Sitemaps (sitemaps.org): lists of a site's pages, and lists of such lists, as XML or plain lines, packed or not.
//!
//! Read by their few tags rather than as XML, because a damaged sitemap is still worth its addresses.

use crate::urls::web_url;
use flate2::read::GzDecoder;
use std::borrow::Cow;
use std::io::Read;
use url::Url;

/// Bytes of a sitemap once unpacked; the protocol's own limit.
pub(crate) const MAX_BYTES: usize = 50 << 20;
/// Addresses of a sitemap; the protocol's own limit.
const MAX_URLS: usize = 50_000;

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
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if !text.starts_with('<') {
        return Sitemap { pages: text.lines().filter_map(|line| web_url(None, line)).take(MAX_URLS).collect(), maps: Vec::new() };
    }
    let urls = locations(text).take(MAX_URLS).collect();
    let (pages, maps) = if text.contains("<sitemapindex") { (Vec::new(), urls) } else { (urls, Vec::new()) };
    Sitemap { pages, maps }
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

/// The addresses in `loc` elements outside comments.
fn locations(text: &str) -> impl Iterator<Item = Url> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find('<')?;
            rest = &rest[at..];
            if let Some(comment) = rest.strip_prefix("<!--") {
                rest = &comment[comment.find("-->")?..];
            } else if let Some(inside) = rest.strip_prefix("<loc>") {
                let end = inside.find("</loc")?;
                rest = &inside[end..];
                return Some(web_url(None, &plain(&inside[..end])));
            } else {
                rest = &rest[1..];
            }
        }
    })
    .flatten()
}

/// Text without its CDATA brackets and XML's five entities.
fn plain(text: &str) -> String {
    let text = text.trim();
    if let Some(data) = text.strip_prefix("<![CDATA[") {
        return data.trim_end_matches("]]>").to_string();
    }
    // The ampersand last: what it leads is not an entity again.
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
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
