//! WAT records: what Common Crawl's extractor kept of a page, as one line of JSON.
//!
//! Most of such a record is links that are no images. They are passed over by their brackets and quotes alone; only the objects of images
//! and what stands around the list of links are read as JSON.

use crate::fetch::AGENT;
use crate::optout::Directives;
use crate::page::{Found, MAX_IMAGES, Page, Place};
use crate::urls::web_url;
use memchr::{memchr, memmem};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use shards::clean_caption;
use std::borrow::Cow;
use std::fmt;
use url::Url;

/// Response headers that are kept, beginning with these letters: opt-outs.
const HEADERS: [&str; 2] = ["x-robots-tag", "tdm-reservation"];

/// Reads the images of a record that stands for the page at `url`. `None` when it is no JSON of the right shape, `Some(None)` when it
/// names no image.
pub(crate) fn read(block: &[u8], url: &Url) -> Option<Option<Page>> {
    if memmem::find(block, b"\"IMG@").is_none() {
        return Some(None);
    }
    let text = std::str::from_utf8(block).ok()?;
    let (images, around) = cut(text)?;
    if images.is_empty() {
        return Some(None);
    }
    let record: Outer = serde_json::from_str(&around).ok()?;
    let fetched = record.envelope.header.date.0.into_owned();
    let response = record.envelope.payload.response;
    let head = response.html.head;
    let base = web_url(Some(url), &head.base.0).unwrap_or_else(|| url.clone());
    let mut page = Page { directives: Directives::of_headers(&response.headers.0, AGENT), fetched, ..Page::default() };
    for meta in head.metas {
        page.directives.read_meta(&meta.name.0, &meta.content.0, AGENT);
    }
    page.licence = head.links.into_iter().find(|link| is_licence(&link.rel.0)).map(|link| link.url.0.into_owned()).unwrap_or_default();
    for image in images {
        if let Ok(image) = serde_json::from_str::<Image>(image)
            && image.path.0 == "IMG@/src"
        {
            take(&mut page, &base, image);
        }
    }
    Some(Some(page))
}

fn is_licence(rel: &str) -> bool {
    rel.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("license"))
}

fn take(page: &mut Page, base: &Url, image: Image) {
    let mut captions: Vec<(&'static str, String)> = Vec::with_capacity(1);
    for (field, text) in [("alt", image.alt), ("title", image.title)] {
        let caption = if text.0.is_empty() { String::new() } else { clean_caption(&text.0) };
        if !caption.is_empty() && captions.iter().all(|(_, known)| *known != caption) {
            captions.push((field, caption));
        }
    }
    if captions.is_empty() {
        page.uncaptioned += 1;
    } else if let Some(url) = web_url(Some(base), &image.url.0).filter(|_| page.images.len() < MAX_IMAGES) {
        page.images.push(Found::new(Place::Url(url), captions));
    }
}

/// The objects in the list of links that mention images, and the record without that list's content.
fn cut(text: &str) -> Option<(Vec<&str>, String)> {
    let bytes = text.as_bytes();
    let begin = memmem::find_iter(bytes, b"\"Links\"").find_map(|at| {
        // A key, not a value: a list follows.
        let mut rest = bytes[at + 7..].iter().enumerate().filter(|(_, byte)| !byte.is_ascii_whitespace());
        (*rest.next()?.1 == b':').then_some(())?;
        rest.next().filter(|(_, byte)| **byte == b'[').map(|(after, _)| at + 8 + after)
    })?;
    let (mut at, mut depth, mut start, mut wanted) = (begin, 0usize, begin, false);
    let mut images = Vec::new();
    loop {
        match *bytes.get(at)? {
            b'"' => {
                let open = at + 1;
                at = open;
                loop {
                    at += memchr(b'"', &bytes[at..])?;
                    let slashes = bytes[open..at].iter().rev().take_while(|byte| **byte == b'\\').count();
                    at += 1;
                    if slashes % 2 == 0 {
                        break;
                    }
                }
                wanted |= depth == 1 && bytes[open..at - 1].starts_with(b"IMG@");
                continue;
            }
            b'{' | b'[' => {
                if depth == 0 {
                    (start, wanted) = (at, false);
                }
                depth += 1;
            }
            b']' if depth == 0 => break,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 && wanted {
                    images.push(&text[start..=at]);
                }
            }
            _ => {}
        }
        at += 1;
    }
    Some((images, [&text[..begin], &text[at..]].concat()))
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(rename = "Envelope", borrow)]
    envelope: Envelope<'a>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "Payload-Metadata", borrow)]
    payload: Payload<'a>,
    #[serde(rename = "WARC-Header-Metadata", default, borrow)]
    header: Header<'a>,
}

/// The head of the record that this one is an extract of.
#[derive(Default, Deserialize)]
struct Header<'a> {
    #[serde(rename = "WARC-Date", default, borrow)]
    date: Text<'a>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(rename = "HTTP-Response-Metadata", borrow)]
    response: Response<'a>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(rename = "Headers", default)]
    headers: Headers,
    #[serde(rename = "HTML-Metadata", borrow)]
    html: HtmlMetadata<'a>,
}

#[derive(Deserialize)]
struct HtmlMetadata<'a> {
    #[serde(rename = "Head", default, borrow)]
    head: Head<'a>,
}

#[derive(Default, Deserialize)]
struct Head<'a> {
    #[serde(rename = "Base", default, borrow)]
    base: Text<'a>,
    #[serde(rename = "Metas", default, borrow)]
    metas: Vec<Meta<'a>>,
    #[serde(rename = "Link", default, borrow)]
    links: Vec<HeadLink<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(default, borrow)]
    name: Text<'a>,
    #[serde(default, borrow)]
    content: Text<'a>,
}

#[derive(Deserialize)]
struct HeadLink<'a> {
    #[serde(default, borrow)]
    rel: Text<'a>,
    #[serde(default, borrow)]
    url: Text<'a>,
}

#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow)]
    path: Text<'a>,
    #[serde(default, borrow)]
    url: Text<'a>,
    #[serde(default, borrow)]
    alt: Text<'a>,
    #[serde(default, borrow)]
    title: Text<'a>,
}

/// A string, borrowed where it has no escapes; anything else in its place counts as empty.
#[derive(Default)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_string())))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// The response's headers that matter; names come in any case, and a name may come twice.
#[derive(Default)]
struct Headers(HeaderMap);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of headers")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = HeaderMap::new();
                while let Some((name, value)) = map.next_entry::<Cow<'de, str>, Text<'de>>()? {
                    if let Some(known) = HEADERS.iter().find(|known| name.eq_ignore_ascii_case(known))
                        && let Ok(value) = HeaderValue::from_bytes(value.0.as_bytes())
                    {
                        headers.append(HeaderName::from_static(known), value);
                    }
                }
                Ok(Headers(headers))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(headers: &str, head: &str, links: &str) -> String {
        format!(
            "{{\"Container\":{{}},\"Envelope\":{{\"Payload-Metadata\":{{\"HTTP-Response-Metadata\":{{\"Headers\":{{{headers}}},\
             \"HTML-Metadata\":{{\"Links\":[{links}],\"Head\":{{{head}}}}}}}}},\"WARC-Header-Metadata\":{{\"WARC-Type\":\"response\",\"WARC-Date\":\"2026-01-01T00:00:01Z\"}}}}}}"
        )
    }

    fn page(bytes: &[u8]) -> Option<Option<Page>> {
        read(bytes, &Url::parse("https://e.org/a/b.html").expect("a URL"))
    }

    fn pairs(text: &str) -> Vec<(String, &'static str, String)> {
        let page = page(text.as_bytes()).expect("a record").unwrap_or_default();
        let url = |place: &Place| match place {
            Place::Url(url) => url.to_string(),
            Place::Data(_) => String::new(),
        };
        page.images.iter().flat_map(|found| found.captions.iter().map(|(field, text)| (url(&found.place), *field, text.clone()))).collect()
    }

    #[test]
    fn images_with_words_are_taken() {
        let links = "{\"path\":\"A@/href\",\"url\":\"/x\",\"text\":\"say \\\"IMG@/src\\\" ]}[{\"},{\"path\":\"IMG@/src\",\"url\":\"i.jpg\",\"alt\":\"one &amp; two\"},\
            {\"title\":\"T\",\"alt\":\"caf\\u00e9\",\"url\":\"//o.org/j.jpg\",\"path\":\"IMG@\\/src\"},{\"path\":\"IMG@/src\",\"url\":\"k.jpg\",\"alt\":\"\"},\
            {\"path\":\"IMG@/srcset\",\"url\":\"l.jpg 2x\",\"alt\":\"l\"},{\"path\":\"IMG@/src\",\"url\":null,\"alt\":\"m\"},{\"path\":\"IMG@/src\",\"url\":\"n.jpg\",\"alt\":7},\
            {\"path\":\"IMG@/src\",\"url\":\"data:image/png;base64,AAAA\",\"alt\":\"d\"},{\"path\":\"IMG@/src\",\"url\":\"p.jpg\",\"alt\":[\"x\"]}";
        let own = |url: &str, field: &'static str, text: &str| (url.to_string(), field, text.to_string());
        assert_eq!(
            pairs(&record("", "", links)),
            [
                own("https://e.org/a/i.jpg", "alt", "one & two"),
                own("https://o.org/j.jpg", "alt", "café"),
                own("https://o.org/j.jpg", "title", "T")
            ]
        );
        assert_eq!(
            pairs(&record("", "\"Base\":\"/z/\"", "{\"path\":\"IMG@/src\",\"url\":\"i.jpg\",\"alt\":\"i\"}"))[0].0,
            "https://e.org/z/i.jpg"
        );
        let spaced = record("", "", "{\"path\":\"IMG@/src\",\"url\":\"i.jpg\",\"alt\":\"i\"}").replace("\"Links\":[", "\"Links\" : [ ");
        assert_eq!(pairs(&spaced).len(), 1);
    }

    #[test]
    fn opt_outs_and_licences_are_seen() {
        let image = "{\"path\":\"IMG@/src\",\"url\":\"i.jpg\",\"alt\":\"i\"}";
        let page = |headers: &str, head: &str| page(record(headers, head, image).as_bytes()).expect("a record").expect("images");
        assert_eq!(page("\"X-Robots-TAG\":\"noai\",\"Server\":\"x\"", "").directives.refusal, Some("noai"));
        assert_eq!(page("\"tdm-reservation\":\"1\"", "").directives.refusal, Some("tdm-reservation"));
        assert_eq!(
            page("", "\"Metas\":[{\"property\":\"og:x\",\"content\":\"noai\"},{\"name\":\"robots\",\"content\":\"noimageai\"}]")
                .directives
                .refusal,
            Some("noimageai")
        );
        assert_eq!(
            page("", "\"Link\":[{\"path\":\"LINK@/href\",\"url\":\"https://c.org/by\",\"rel\":\"license\"}]").licence,
            "https://c.org/by"
        );
        assert_eq!(page("", "").directives.refusal, None);
        assert_eq!(page("", "").fetched, "2026-01-01T00:00:01Z");
    }

    #[test]
    fn other_records_are_empty_and_broken_ones_are_none() {
        assert!(page(b"{\"Envelope\":{\"Payload-Metadata\":{}}}").expect("a record").is_none());
        let whole = record("", "", "{\"path\":\"IMG@/src\",\"url\":\"i.jpg\",\"alt\":\"i\"}");
        assert!(page(&whole.as_bytes()[..whole.len() - 3]).is_none());
        assert!(page(whole.replace("\"alt\":\"i\"", "\"alt\":\"i").as_bytes()).is_none());
        assert!(page(&[whole.as_bytes(), b"\xff"].concat()).is_none());
    }

    proptest! {
        /// Passing over links finds what a reader of whole JSON finds.
        #[test]
        fn cutting_agrees_with_parsing(links in proptest::collection::vec((0usize..3, "[\\PC\\\\\"\\[\\]{},:]{0,12}", "[a-z\\\\\"é{}\\[]{1,8}"), 0..8)) {
            let paths = ["A@/href", "IMG@/src", "LINK@/href"];
            let objects: Vec<serde_json::Value> =
                links.iter().map(|(path, text, alt)| serde_json::json!({"text": text, "path": paths[*path], "url": "i.jpg", "alt": alt})).collect();
            let list = serde_json::Value::from(objects).to_string();
            let text = record("", "", &list[1..list.len() - 1]);
            let expected: Vec<String> = links.iter().filter(|(path, ..)| *path == 1).map(|(_, _, alt)| clean_caption(alt)).filter(|alt| !alt.is_empty()).collect();
            prop_assert_eq!(pairs(&text).into_iter().map(|(_, _, alt)| alt).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn mutated_records_end(at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut bytes = record("\"a\":\"b\"", "\"Metas\":[{\"name\":\"robots\",\"content\":\"x\"}]", "{\"path\":\"IMG@/src\",\"url\":\"i.jpg\",\"alt\":\"i\"}").into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = value;
            page(&bytes);
            bytes.truncate(cut.index(bytes.len()));
            page(&bytes);
        }
    }
}
