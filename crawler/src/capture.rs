//! A page as an archive has it: the HTTP response in a WARC record, read as the live web's pages are.

use crate::coding::{Cut, unpack};
use crate::fetch::{AGENT, is_html};
use crate::optout::Directives;
use crate::page::{Page, Reading, extract};
use crate::warc::{Record, field, head_end};
use crate::{charset, xhtml};
use memchr::memmem;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::borrow::Cow;
use url::Url;

/// Bytes of a page; what exceeds it is cut off, as archives do themselves.
const MAX_PAGE: usize = 4 << 20;

/// What a record is to us.
pub(crate) enum Capture {
    /// A page.
    Page(Box<Page>),
    /// Something else: a request, an image, an error page, a redirect.
    Other,
    /// A response that cannot be read, and why.
    Damaged(&'static str),
}

/// Reads the page in a `response` record (an HTTP message) or a `resource` record (the page itself).
pub(crate) fn read(record: &Record, url: &Url, reading: Reading) -> Capture {
    match record.field("WARC-Type") {
        Some("response") => response(record.block, url, reading),
        Some("resource") => match record.field("Content-Type").filter(|kind| is_html(kind)) {
            Some(kind) => page(record.block, Some(kind), Directives::default(), url, reading),
            None => Capture::Other,
        },
        _ => Capture::Other,
    }
}

fn response(message: &[u8], url: &Url, reading: Reading) -> Capture {
    let Some((end, begin)) = head_end(message) else { return Capture::Damaged("http") };
    let (head, body) = (&message[..end], &message[begin..]);
    let mut status = head.split(|&byte| byte == b' ').skip(1);
    if !head.starts_with(b"HTTP/") || status.next().is_none_or(|status| !status.starts_with(b"2")) {
        return Capture::Other;
    }
    let kind = field(head, "Content-Type");
    if kind.is_some_and(|kind| !is_html(kind)) {
        return Capture::Other;
    }
    let chunked = field(head, "Transfer-Encoding").is_some_and(|value| value.to_ascii_lowercase().contains("chunked"));
    // Archives may keep the header of a body that they unpacked: a body that is not chunked is taken as it is.
    let body = if chunked { dechunk(body).map_or(Cow::Borrowed(body), Cow::Owned) } else { Cow::Borrowed(body) };
    let body = match field(head, "Content-Encoding") {
        None => body,
        Some(codings) => match unpack(body.into_owned(), codings, MAX_PAGE, Cut::Rest) {
            Ok(body) => Cow::Owned(body),
            Err(_) => return Capture::Damaged("encoding"),
        },
    };
    page(&body, kind, directives(head, reading.also), url, reading)
}

fn page(body: &[u8], kind: Option<&str>, directives: Directives, url: &Url, reading: Reading) -> Capture {
    let text = xhtml::as_html(charset::decode(&body[..body.len().min(MAX_PAGE)], kind), kind);
    Capture::Page(Box::new(extract(&text, url, directives, reading)))
}

fn directives(head: &[u8], also: &[String]) -> Directives {
    let mut headers = HeaderMap::new();
    let mut name = None;
    for line in head.split(|&byte| byte == b'\n') {
        let mut value = line;
        // A line that begins with a blank goes on with the header before it.
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            name = ["x-robots-tag", "tdm-reservation"].into_iter().find(|known| line[..colon].eq_ignore_ascii_case(known.as_bytes()));
            value = &line[colon + 1..];
        }
        if let (Some(name), Ok(value)) = (name, HeaderValue::from_bytes(value.trim_ascii())) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    Directives::of_headers(&headers, AGENT, also)
}

/// Joins the chunks of a body; `None` when it does not begin as a chunked one. A broken end costs the end.
fn dechunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::with_capacity(body.len());
    while let Some(end) = memmem::find(body, b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).ok().and_then(|line| {
            let digits = line.split(';').next().unwrap_or_default().trim();
            usize::from_str_radix(digits, 16).ok().filter(|_| digits.len() <= 8)
        });
        let Some(size) = size else { break };
        body = &body[end + 2..];
        whole.extend_from_slice(&body[..size.min(body.len())]);
        if size == 0 {
            return Some(whole);
        }
        body = body.get(size + 2..).unwrap_or_default();
    }
    (!whole.is_empty()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warc::{Position, Records};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    const PAGE: &[u8] = b"<base href=/z/><p>some words before the picture, all of them plain</p><img src=a.jpg alt='caf\xe9'>";

    fn read_block(kind: &str, more: &str, block: &[u8]) -> Capture {
        let head = format!("WARC/1.0\r\nWARC-Type: {kind}\r\n{more}Content-Length: {}\r\n\r\n", block.len());
        let bytes = [head.as_bytes(), block, b"\r\n\r\n"].concat();
        let mut records = Records::new(bytes.as_slice(), Position::default(), false).expect("opened");
        let record = records.next().expect("read").expect("a record");
        let reading = Reading { enough: 512, also: &["ccbot".to_string()], links: None };
        read(&record, &Url::parse("http://e.org/a").expect("a URL"), reading)
    }

    fn captions(capture: Capture) -> Vec<String> {
        match capture {
            Capture::Page(page) => page.images.into_iter().map(|image| image.captions[0].1.clone()).collect(),
            Capture::Other => vec!["other".to_string()],
            Capture::Damaged(why) => vec![why.to_string()],
        }
    }

    fn answer(head: &str, body: &[u8]) -> Vec<String> {
        captions(read_block("response", "", &[b"HTTP/1.1 200 OK\r\n".as_slice(), head.as_bytes(), b"\r\n", body].concat()))
    }

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(bytes).expect("packed");
        packer.finish().expect("packed")
    }

    #[test]
    fn bodies_are_read_however_they_are_wrapped() {
        let packed = pack(PAGE);
        let chunks = |bytes: &[u8]| {
            [b"5\r\n".as_slice(), &bytes[..5], b"\r\n", format!("{:X};x=y\r\n", bytes.len() - 5).as_bytes(), &bytes[5..], b"\r\n0\r\n\r\n"]
                .concat()
        };
        assert_eq!(answer("Content-Type: text/html\r\n", PAGE), ["café"]);
        assert_eq!(answer("content-type: text/html; charset=latin1\r\nContent-Encoding: gzip\r\n", &packed), ["café"]);
        assert_eq!(answer("Transfer-Encoding: chunked\r\n", &chunks(PAGE)), ["café"]);
        assert_eq!(answer("Transfer-Encoding: Chunked\r\nContent-Encoding: gzip\r\n", &chunks(&packed)), ["café"]);
        // The archive unpacked it and kept the headers.
        assert_eq!(answer("Transfer-Encoding: chunked\r\nContent-Encoding: br\r\n", PAGE), ["café"]);
        assert_eq!(answer("Content-Encoding: zstd\r\n", &[0x28, 0xb5, 0x2f, 0xfd, 0]), ["encoding"]);
        for encoding in ["br", "zstd", "gzip"] {
            for begin in ["\u{feff}", "<!doctype html><title>日本語</title>"] {
                let body = format!("{begin}<img src=a.jpg alt=富士>");
                assert_eq!(answer(&format!("Content-Encoding: {encoding}\r\n"), body.as_bytes()), ["富士"], "{encoding} {begin}");
            }
        }
        assert_eq!(answer("Content-Encoding: identity, GZIP\r\n", &packed), ["café"]);
        assert_eq!(answer("Content-Encoding: gzip, gzip\r\n", &pack(&packed)), ["café"]);
        assert_eq!(answer("Content-Encoding: gzip, gzip\r\n", &packed), ["café"]);
        assert_eq!(answer("Content-Encoding: gzip,,,,,gzip\r\n", &packed), ["encoding"]);
        let mut packer = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
        packer.write_all(PAGE).expect("packed");
        assert_eq!(answer("Content-Encoding: br\r\n", &packer.into_inner()), ["café"]);
        let lean = b"HTTP/1.1 200 OK\nContent-Type: text/html; charset=latin1\n\n";
        assert_eq!(captions(read_block("response", "", &[lean.as_slice(), PAGE].concat())), ["café"]);
        assert_eq!(captions(read_block("resource", "Content-Type: text/html\r\n", PAGE)), ["café"]);
        let japanese = encoding_rs::SHIFT_JIS.encode("<img src=a.jpg alt=富士山>").0;
        assert_eq!(captions(read_block("resource", "Content-Type: text/html; charset=Shift_JIS\r\n", &japanese)), ["富士山"]);
        let xml = b"<html><head><title/><script src='a.js'/></head><img src='y.jpg' alt='A lake'/></html>";
        assert_eq!(answer("Content-Type: application/xhtml+xml\r\n", xml), ["A lake"]);
    }

    #[test]
    fn other_records_are_left() {
        assert_eq!(answer("Content-Type: image/png\r\n", b"x"), ["other"]);
        assert_eq!(captions(read_block("response", "", b"HTTP/1.1 404 Not Found\r\n\r\nx")), ["other"]);
        assert_eq!(captions(read_block("response", "", b"HTTP/1.1 200")), ["http"]);
        assert_eq!(captions(read_block("request", "", PAGE)), ["other"]);
        for header in ["noai", "CCBot: noai", "noarchive,\r\n noai"] {
            let head = format!("HTTP/1.1 200 OK\r\nX-Robots-Tag: {header}\r\n\r\n");
            match read_block("response", "", &[head.as_bytes(), PAGE].concat()) {
                Capture::Page(page) => assert_eq!(page.directives.refusal, Some("noai"), "{header}"),
                _ => panic!("a page"),
            }
        }
    }

    proptest! {
        #[test]
        fn mutated_responses_end(at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<prop::sample::Index>(), chunked: bool) {
            let head = if chunked { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" } else { "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n" };
            let mut block = [head.as_bytes(), b"1a\r\n", PAGE, b"\r\n0\r\n\r\n"].concat();
            let at = at.index(block.len());
            block[at] = value;
            read_block("response", "", &block);
            block.truncate(cut.index(block.len()));
            read_block("response", "", &block);
        }
    }
}
