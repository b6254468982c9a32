//! WAT records: what Common Crawl's extractor kept of a page, as one line of JSON.
//!
//! Most of such a record is links that are no images, and scripts and metas that say nothing to us. They are passed over by their brackets
//! alone (`outline`); only the objects of images and what is left around them are read as JSON.

use crate::fetch::AGENT;
use crate::linked::Image;
use crate::mend::mend;
use crate::optout::{Directives, Metas};
use crate::outline::{MARK, outline};
use crate::page::{Found, MAX_IMAGES, Page, Place};
use crate::urls::web_url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use shards::clean_caption;
use std::borrow::Cow;
use std::fmt;
use url::Url;

/// Response headers that are kept, beginning with these letters: opt-outs.
const HEADERS: [&str; 2] = ["x-robots-tag", "tdm-reservation"];

/// Whether a record may name images; most name none, and that is all that has to be known of them.
pub(crate) fn has_images(block: &[u8]) -> bool {
    MARK.find(block).is_some()
}

/// Reads the images of a record that stands for the page at `url`; opt-outs of the crawlers `also` (lower case) hold too. `None` when it is no JSON of the right shape, `Some(None)` when it
/// names no image.
pub(crate) fn read(block: &[u8], url: &Url, also: &[String]) -> Option<Option<Page>> {
    if !has_images(block) {
        return Some(None);
    }
    let Some(outline) = outline(block, also) else { return read_whole(block, url, also) };
    if outline.images.is_empty() {
        return Some(None);
    }
    let mended;
    let record: Outer = match serde_json::from_slice(&outline.around) {
        Ok(record) => record,
        Err(_) => {
            mended = mend(&outline.around);
            serde_json::from_slice(&mended).ok()?
        }
    };
    let mut unreadable = 0;
    let images = outline.images.into_iter().filter_map(|object| {
        let image = Image::read(object);
        unreadable += u64::from(image.is_none());
        image
    });
    let mut page = page_of(record, images, url, also);
    page.unreadable = unreadable;
    Some(Some(page))
}

/// [`read`] for records that have no outline, by reading every byte as JSON.
fn read_whole(block: &[u8], url: &Url, also: &[String]) -> Option<Option<Page>> {
    read_sound(block, url, also).or_else(|| read_sound(&mend(block), url, also))
}

fn read_sound(block: &[u8], url: &Url, also: &[String]) -> Option<Option<Page>> {
    let record: Outer = serde_json::from_slice(block).ok()?;
    let value: Value = serde_json::from_slice(block).ok()?;
    let links = value.pointer("/Envelope/Payload-Metadata/HTTP-Response-Metadata/HTML-Metadata/Links")?.as_array()?;
    let images: Vec<Image> = links.iter().filter_map(Image::of_value).filter(|image| image.path.0.starts_with("IMG@")).collect();
    Some((!images.is_empty()).then(|| page_of(record, images.into_iter(), url, also)))
}

fn page_of<'a>(record: Outer, images: impl Iterator<Item = Image<'a>>, url: &Url, also: &[String]) -> Page {
    let fetched = record.envelope.header.date.0.into_owned();
    let response = record.envelope.payload.response;
    let head = response.html.head;
    let base = web_url(Some(url), &head.base.0).unwrap_or_else(|| url.clone());
    let mut metas = Metas::new(Directives::of_headers(&response.headers.0, AGENT, also), AGENT, also);
    head.metas.iter().for_each(|meta| metas.read(&meta.name.0, &meta.content.0));
    let mut page = Page { directives: metas.done(), fetched, ..Page::default() };
    let linked =
        |relation: &str| head.links.iter().filter(|link| is(&link.rel.0, relation)).find_map(|link| web_url(Some(&base), &link.url.0));
    page.licence = linked("license").map(String::from).unwrap_or_default();
    page.canonical = linked("canonical");
    for image in images.filter(|image| image.path.0 == "IMG@/src") {
        take(&mut page, &base, image);
    }
    page
}

/// Whether a link's relations name this one.
fn is(relations: &str, relation: &str) -> bool {
    relations.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case(relation))
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

/// Reads a value; `null` is as good as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
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
    #[serde(rename = "WARC-Header-Metadata", default, borrow, deserialize_with = "or_default")]
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
    #[serde(rename = "Headers", default, deserialize_with = "or_default")]
    headers: Headers,
    #[serde(rename = "HTML-Metadata", borrow)]
    html: HtmlMetadata<'a>,
}

#[derive(Deserialize)]
struct HtmlMetadata<'a> {
    #[serde(rename = "Head", default, borrow, deserialize_with = "or_default")]
    head: Head<'a>,
}

#[derive(Default, Deserialize)]
struct Head<'a> {
    #[serde(rename = "Base", default, borrow)]
    base: Text<'a>,
    #[serde(rename = "Metas", default, borrow, deserialize_with = "or_default")]
    metas: Vec<Meta<'a>>,
    #[serde(rename = "Link", default, borrow, deserialize_with = "or_default")]
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

/// A string, borrowed where it has no escapes; anything else in its place counts as empty.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

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

/// The values of a header: one string, or a list where it came more than once.
struct Texts<'a>(Vec<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany<'a> {
            #[serde(borrow)]
            Many(Vec<Text<'a>>),
            #[serde(borrow)]
            One(Text<'a>),
        }
        Ok(Texts(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::Many(values) => values,
            OneOrMany::One(value) => vec![value],
        }))
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
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    let Some(known) = HEADERS.iter().find(|known| name.0.eq_ignore_ascii_case(known)) else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    for value in map.next_value::<Texts<'de>>()?.0 {
                        if let Ok(value) = HeaderValue::from_bytes(value.0.as_bytes()) {
                            headers.append(HeaderName::from_static(known), value);
                        }
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
    use serde_json::json;

    fn record(headers: &str, head: &str, links: &str) -> String {
        format!(
            "{{\"Container\":{{}},\"Envelope\":{{\"Payload-Metadata\":{{\"HTTP-Response-Metadata\":{{\"Headers\":{{{headers}}},\
             \"HTML-Metadata\":{{\"Links\":[{links}],\"Head\":{{{head}}}}}}}}},\"WARC-Header-Metadata\":{{\"WARC-Type\":\"response\",\"WARC-Date\":\"2026-01-01T00:00:01Z\"}}}}}}"
        )
    }

    fn also() -> [String; 2] {
        ["ccbot", "x"].map(String::from)
    }

    fn page(bytes: &[u8]) -> Option<Option<Page>> {
        read(bytes, &Url::parse("https://e.org/a/b.html").expect("a URL"), &also())
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
    fn strings_that_json_refuses_are_mended() {
        let image = |alt: &str| format!("{{\"path\":\"IMG@/src\",\"url\":\"i.jpg\",\"alt\":\"{alt}\"}}");
        let links = [image("a \\ud83d b"), image("go\\xod"), image("c\td"), image("plain")].join(",");
        let captions: Vec<String> = pairs(&record("", "", &links)).into_iter().map(|(_, _, caption)| caption).collect();
        assert_eq!(captions, ["a \u{fffd} b", "go\\xod", "c d", "plain"]);
        let meta = "\"Metas\":[{\"name\":\"robots\",\"content\":\"noai \\ud83d\"}]";
        assert_eq!(pairs(&record("", meta, &links)).len(), 4);
        // What cannot be read is counted, and costs nothing else.
        let links = [image("one").replace("}", ",\"w\":NaN}"), image("two")].join(",");
        let page = page(record("", "", &links).as_bytes()).expect("a record").expect("images");
        assert_eq!((page.images.len(), page.unreadable), (1, 1));
    }

    #[test]
    fn null_is_nothing() {
        let image = "{\"path\":\"IMG@/src\",\"url\":\"i.jpg\",\"alt\":\"i\"}";
        let whole = record("", "", image);
        for (some, none) in [
            ("\"Head\":{}", "\"Head\":null"),
            ("\"Headers\":{}", "\"Headers\":null"),
            ("\"Head\":{}", "\"Head\":{\"Metas\":null,\"Link\":null,\"Base\":null}"),
            ("{\"WARC-Type\":\"response\",\"WARC-Date\":\"2026-01-01T00:00:01Z\"}", "null"),
        ] {
            let text = whole.replace(some, none);
            assert!(text != whole && pairs(&text).len() == 1, "{text}");
            let url = Url::parse("https://e.org/a").expect("a URL");
            assert_eq!(read_whole(text.as_bytes(), &url, &also()).expect("a record").expect("images").images.len(), 1, "{text}");
        }
    }

    #[test]
    fn opt_outs_and_licences_are_seen() {
        let image = "{\"path\":\"IMG@/src\",\"url\":\"i.jpg\",\"alt\":\"i\"}";
        let page = |headers: &str, head: &str| page(record(headers, head, image).as_bytes()).expect("a record").expect("images");
        assert_eq!(page("\"X-Robots-TAG\":\"noai\",\"Server\":\"x\"", "").directives.refusal, Some("noai"));
        assert_eq!(page("\"tdm-reservation\":\"1\"", "").directives.refusal, Some("tdm-reservation"));
        // A header that came twice is a list.
        assert_eq!(page("\"X-Robots-Tag\":[\"noarchive\",\"noai\"]", "").directives.refusal, Some("noai"));
        assert_eq!(page("\"TDM-Reservation\":[\"1\",\"1\"]", "").directives.refusal, Some("tdm-reservation"));
        assert_eq!(page("\"X-Robots-Tag\":[{},7,\"noai\"],\"Server\":[\"a\"]", "").directives.refusal, Some("noai"));
        assert_eq!(page("\"X-Robots-Tag\":\"CCBot: noindex\"", "").directives.refusal, Some("noindex"));
        for name in ["CCBot", "x", "robots, ccbot"] {
            let meta = format!("\"Metas\":[{{\"name\":\"{name}\",\"content\":\"noai\"}}]");
            assert_eq!(page("", &meta).directives.refusal, Some("noai"), "{name}");
        }
        assert_eq!(
            page("", "\"Metas\":[{\"property\":\"og:x\",\"content\":\"noai\"},{\"name\":\"robots\",\"content\":\"noimageai\"}]")
                .directives
                .refusal,
            Some("noimageai")
        );
        let link = |rel: &str, url: &str| format!("{{\"path\":\"LINK@/href\",\"url\":\"{url}\",\"rel\":\"{rel}\"}}");
        let licence = |links: &[String]| page("", &format!("\"Link\":[{}]", links.join(","))).licence;
        assert_eq!(licence(&[link("license", "https://c.org/by")]), "https://c.org/by");
        assert_eq!(licence(&[link("license", "javascript:void(0)"), link("License", "//c.org/by")]), "https://c.org/by");
        let canonical = page("", &format!("\"Link\":[{}]", link("canonical", "../own"))).canonical;
        assert_eq!(canonical.as_ref().map(Url::as_str), Some("https://e.org/own"));
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

        /// So it does with everything that is left out around them, in any spelling.
        #[test]
        fn outlines_agree_with_whole_records(
            links in proptest::collection::vec(("IMG@/src|IMG@/srcset|A@/href", "[\\PC\\\\\"\\[\\]{},:]{0,12}", "[a-z\\\\\"é{}&; \\[]{0,8}"), 0..6),
            metas in proptest::collection::vec(("robots|RoBots|diptych|CCBot|x|tdm-reservation|author|\"\\[", "noai|noindex, nofollow|1|0|[\\PC{}\"]{0,9}"), 0..5),
            rels in proptest::collection::vec("license|x LICENSE|canonical|stylesheet|[\\PC{}\"]{0,9}", 0..3),
            headers in proptest::collection::hash_map("x-robots-tag|X-Robots-Tag|TDM-Reservation|server|[a-z\"{\\]]{1,5}", "noai|1|[ -~]{0,9}", 0..4),
            base in proptest::option::of("/b/|http://o.org/x|[ -~]{0,6}"),
            (pretty, escaped, odd) in (any::<bool>(), 0usize..4, 0usize..12),
        ) {
            let mut head = json!({
                "Metas": metas.iter().map(|(name, content)| json!({"name": name, "content": content})).collect::<Vec<_>>(),
                "Link": rels.iter().map(|rel| json!({"path": "LINK@/href", "rel": rel, "url": "/licence"})).collect::<Vec<_>>(),
                "Scripts": [{"path": "SCRIPT@/src", "url": "]}\"[{IMG@/src"}, [], {}], "Title": "IMG@/src \"Links\":[{",
            });
            if let Some(base) = base {
                head["Base"] = json!(base);
            }
            let list: Vec<Value> = links.iter().map(|(path, text, alt)| json!({"text": text, "path": path, "url": "i.jpg?a=b", "alt": alt, "title": text})).collect();
            let mut whole = json!({"Container": {"Links": [{"path": "IMG@/src"}]}, "Envelope": {
                "Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": headers, "HTML-Metadata": {"Head": head, "Links": list}}, "Other": [[{}]]},
                "WARC-Header-Metadata": {"WARC-Date": "2026-01-01T00:00:01Z", "x": ["]"]},
            }});
            let response = &mut whole["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"];
            match odd {
                0 => response["HTML-Metadata"]["Links"] = json!({"path": "IMG@/src"}),
                1 => response["HTML-Metadata"]["Head"]["Metas"] = json!({}),
                2 => response["Headers"] = json!("noai"),
                3 => response["HTML-Metadata"]["Head"] = json!(null),
                4 => response["HTML-Metadata"]["Links"].as_array_mut().expect("a list").push(json!([{"path": "A"}, "IMG"])),
                _ => {}
            }
            let mut text = if pretty { serde_json::to_string_pretty(&whole).expect("JSON") } else { whole.to_string() };
            match escaped {
                0 => text = text.replace("obots", "\\u006fbots").replace("icense", "\\u0069cense"),
                1 => text = text.replace("\"Links", "\"\\u004cinks").replace("\"Head", "\"\\u0048ead"),
                _ => {}
            }
            let url = Url::parse("https://e.org/a/b.html").expect("a URL");
            let (read, expected) = (read(text.as_bytes(), &url, &also()), read_whole(text.as_bytes(), &url, &also()));
            match read {
                // Whether the rest of a record without images is sound, nobody asks.
                Some(None) => prop_assert!(expected.flatten().is_none(), "{}", text),
                read => prop_assert_eq!(format!("{read:?}"), format!("{expected:?}"), "{}", text),
            }
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
