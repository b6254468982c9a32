//! What a crawl reads of archives: WARC records with pages, WAT records, packed and plain.

use crate::{Target, gzip};
use ::crawler::{CrawlOptions, Source, scan};
use std::path::Path;

const PAGE: &str = "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><base href=\"/b/\"><meta name=robots content=\"index\"><title>T</title></head><body>\
<figure><img src=a.jpg alt=\"a red &amp; blue cat\" title='t' srcset=\"a.jpg 1x, b.jpg 2x\"><figcaption>a cat</figcaption></figure>\
<picture><source srcset=\"c.webp 400w, d.webp 800w\"><img data-src=e.png aria-label=\"a dog\"></picture><img src=\"data:image/png;base64,AAAA\" alt=x>\
<p>text<script>var a='<img alt=no>'</script><table><tr><td><svg><title>s</title></svg><template><img src=f alt=g></template></table></body></html>";
const HTML_MARKS: &[&str] = &[
    "<img ",
    "alt=\"",
    "\" ",
    "src=",
    "srcset=\"",
    " 2x,",
    "</figure>",
    "<table>",
    "<svg>",
    "<![CDATA[",
    "<!--",
    "-->",
    "<script>",
    "</script>",
    "<template>",
    "&amp;",
    "&#x0;",
    "<base href=//>",
    "<p>",
    "</a>",
    "\r\n\r\n",
    "WARC/1.0\r\n",
    "Content-Length: 9\r\n",
    "HTTP/1.1 200 OK\r\n",
    "Content-Type: text/html; charset=shift_jis\r\n",
    "Content-Encoding: gzip\r\n",
    "\u{1f}",
    "Transfer-Encoding: chunked\r\n",
];
const WAT_MARKS: &[&str] = &[
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"IMG@/src\"",
    "\"Links\":[",
    "\"alt\":\"",
    "\"url\":",
    "\\u00e9",
    "\\ud800",
    "null",
    "1e999",
    "Envelope",
    "WARC/1.0\r\n",
    "Content-Length: 99999999999\r\n",
];

pub(crate) fn targets() -> Vec<Target> {
    let warc = record("response", &format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{PAGE}"));
    let link = r#"{"path":"IMG@/src","url":"a.jpg","alt":"a red cat","title":"t"},{"path":"A@/href","url":"/x","text":"y"}"#;
    let wat = record(
        "metadata",
        &format!(
            r#"{{"Container":{{}},"Envelope":{{"Payload-Metadata":{{"HTTP-Response-Metadata":{{"Headers":{{"X-Robots-Tag":"all"}},"HTML-Metadata":{{"Head":{{"Base":"/b/","Metas":[{{"name":"robots","content":"index"}}]}},"Links":[{link}]}}}}}},"WARC-Header-Metadata":{{"WARC-Date":"2026-01-01T00:00:01Z"}}}}}}"#
        ),
    );
    let samples = |record: &[u8]| vec![record.to_vec(), record.repeat(2), [gzip(record), gzip(record)].concat()];
    vec![
        Target { name: "warc", samples: samples(&warc), marks: HTML_MARKS, read: |bytes, folder| listed("warc", bytes, folder) },
        Target { name: "wat", samples: samples(&wat), marks: WAT_MARKS, read: |bytes, folder| listed("wat", bytes, folder) },
    ]
}

/// Lists the pairs of an archive.
fn listed(kind: &str, bytes: &[u8], folder: &Path) {
    let path = folder.join(format!("a.{kind}"));
    std::fs::write(&path, bytes).expect("room for an input");
    let source: Source = format!("{kind}:{}", path.display()).parse().expect("a source");
    let mut lines = Vec::new();
    // A refusal is an answer; lines are whole ones all the same.
    let _ = scan(&CrawlOptions::new("", vec![source]), &mut lines);
    assert!(lines.is_empty() || lines.ends_with(b"}\n"), "a line is cut off");
}

fn record(kind: &str, block: &str) -> Vec<u8> {
    format!(
        "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://e.org/p\r\nWARC-Date: 2026-01-01T00:00:00Z\r\nContent-Type: application/http; msgtype=response\r\n\
         Content-Length: {}\r\n\r\n{block}\r\n\r\n",
        block.len()
    )
    .into_bytes()
}
