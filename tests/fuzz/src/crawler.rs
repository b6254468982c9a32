//! What a crawl reads of archives: WARC records with pages, WAT records, packed and plain; and of hosts: pages, sitemaps, `robots.txt` and
//! its like.

use crate::{Target, gzip};
use ::crawler::{CrawlOptions, Source, foreign, scan};
use std::hint::black_box;
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

const ROBOTS: &str = "\u{feff}# all\r\nUser-agent: *\r\nDisallow: /a/*.jpg$\nAllow: /a/b\nCrawl-delay: 2.5\n\nuser agent: GPTBot\nUser-Agent: diptych/0.1\n\
Disallow:/%C3%A9\nDisallow: é*x*y*$\nSitemap: http://e.org/map.xml\nNoindex: /\n";
const TDMREP: &str =
    r#"[{"location": "/art/*", "tdm-reservation": 1, "tdm-policy": "http://e.org/p"}, {"location": "*.jpg$", "tdm-reservation": 0}]"#;
const ROBOTS_MARKS: &[&str] = &[
    "User-agent: *\n",
    "user-agent",
    ":",
    "Disallow: ",
    "Allow:",
    "/*",
    "*",
    "**",
    "$",
    "%2F",
    "%",
    "%C3",
    "#",
    "\r",
    "\n",
    "\r\n",
    "\u{feff}",
    "diptych",
    "CCBot",
    "Sitemap: http://",
    "Crawl-delay: 1e9",
    "[{",
    "}]",
    "\"location\":",
    "\"tdm-reservation\":",
    "1",
    "\"",
    "\\u0000",
    "null",
    "[[[[",
];
const SITEMAP: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><!-- c --><urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\"><url><loc>http://e.org/?a=1&amp;b=2</loc>\
<lastmod>2026-01-01</lastmod></url><url><loc><![CDATA[ http://e.org/b ]]></loc></url><x:url xmlns:x=\"y\"><x:loc>/c</x:loc></x:url></urlset>";
const FEED: &str = "<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><link rel='alternate' href=\"http://e.org/a\"/></entry></feed>";
const SITEMAP_MARKS: &[&str] = &[
    "<loc>",
    "</loc>",
    "<loc ",
    "<x:loc>",
    "<sitemapindex>",
    "<rss>",
    "<link>",
    "<link href=\"",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?",
    "?>",
    "&amp;",
    "&#x41;",
    "&",
    "<",
    ">",
    "/>",
    "\"",
    "'",
    "http://e.org/",
    "\n",
    "\u{feff}",
    "<a:b:c>",
    "<!DOCTYPE x [<!ENTITY y \"z\">]>",
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
        Target {
            name: "html",
            samples: pages(),
            marks: HTML_MARKS,
            read: |bytes, _| {
                let _ = black_box(foreign::html(bytes));
            },
        },
        Target {
            name: "robots",
            samples: vec![ROBOTS.into(), TDMREP.into(), [ROBOTS, "User-Agent: *\nDisallow: *.png\n"].concat().into()],
            marks: ROBOTS_MARKS,
            read: |bytes, _| {
                let _ = black_box(foreign::robots(bytes));
            },
        },
        Target {
            name: "sitemap",
            samples: vec![SITEMAP.into(), FEED.into(), b"http://e.org/a\nhttp://e.org/b\r\n".to_vec(), gzip(SITEMAP.as_bytes())],
            marks: SITEMAP_MARKS,
            read: |bytes, _| {
                let _ = black_box(foreign::sitemap(bytes));
            },
        },
    ]
}

/// A page in several encodings, marked and not.
fn pages() -> Vec<Vec<u8>> {
    let wide: Vec<u8> = ['\u{feff}'].into_iter().chain(PAGE.chars()).flat_map(|c| (c as u16).to_le_bytes()).collect();
    let other = PAGE.replace("charset=utf-8", "charset=gb18030").replace("cat", "\u{c3}\u{a9}");
    vec![PAGE.into(), wide, other.into(), format!("\u{feff}{PAGE}").into()]
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
