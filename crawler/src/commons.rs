//! Wikimedia Commons through MediaWiki's API: a search in the namespace of files, with licence and author of each.
//!
//! Files are asked for at a width of which the server keeps copies, not at full size.

use crate::lenient::{Record, Records, Text};
use crate::page::{Found, Place};
use crate::search::{Answer, Search};
use crate::snippet::words;
use crate::urls::web_url;
use serde::Deserialize;
use serde_json::{Map, Value};
use shards::clean_caption;
use url::Url;

/// Where it is to be had.
pub(crate) const ENDPOINT: &str = "https://commons.wikimedia.org/w/api.php";
/// Results of a request: the most that a client without rights gets with `extmetadata` at hand.
const RESULTS: &str = "50";
/// Widths of which Wikimedia's servers keep copies; others are made for each request, which they refuse to strangers.
const WIDTHS: [u32; 5] = [330, 500, 960, 1280, 1920];
/// Bytes of a request's address.
const MAX_ADDRESS: usize = 4 << 10;
/// Codes of errors that pass: `https://www.mediawiki.org/wiki/API:Errors_and_warnings`, and that of a full queue of searches.
const PASSING: [&str; 4] = ["maxlag", "ratelimited", "readonly", "cirrussearch-too-busy-error"];
/// What codes of errors within the service begin with: they pass too, or are due to one request.
const INTERNAL: &str = "internal_api_error_";

/// The service.
pub(crate) struct Commons {
    endpoint: Url,
    width: u32,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    query: Record<Query>,
    #[serde(default, rename = "continue")]
    more: Record<Map<String, Value>>,
    error: Option<Record<Failure>>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Query {
    pages: Records<File>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    title: Text,
    index: Text,
    imageinfo: Records<Info>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Info {
    url: Text,
    thumburl: Text,
    descriptionurl: Text,
    extmetadata: Record<Metadata>,
}

/// What a file's page says of it, as HTML.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Metadata {
    image_description: Record<Entry>,
    artist: Record<Entry>,
    license_short_name: Record<Entry>,
    license_url: Record<Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    value: Text,
}

impl Record<Entry> {
    /// The value as plain words.
    fn words(&self) -> String {
        self.0.as_ref().map(|entry| words(&entry.value.0)).unwrap_or_default()
    }
}

impl Commons {
    /// The service at an address; files at least `enough` pixels wide, if they are.
    pub(crate) fn new(endpoint: &Url, enough: u32) -> Self {
        let width = WIDTHS.into_iter().find(|width| *width >= enough).unwrap_or(WIDTHS[WIDTHS.len() - 1]);
        Commons { endpoint: endpoint.clone(), width }
    }
}

impl Search for Commons {
    fn first(&self, query: &str) -> Url {
        let mut url = self.endpoint.clone();
        // As a phrase: words that stand apart make no match.
        let phrase = format!("\"{}\" filetype:bitmap", query.replace('"', " "));
        let width = self.width.to_string();
        let parameters = [
            ("action", "query"),
            ("format", "json"),
            ("formatversion", "2"),
            ("maxlag", "5"),
            ("generator", "search"),
            ("gsrsearch", &phrase),
            ("gsrnamespace", "6"),
            ("gsrlimit", RESULTS),
            ("prop", "imageinfo"),
            ("iiprop", "url|extmetadata"),
            ("iiurlwidth", &width),
            ("iiextmetadatafilter", "ImageDescription|Artist|LicenseShortName|LicenseUrl"),
        ];
        url.query_pairs_mut().extend_pairs(parameters);
        url
    }

    fn read(&self, request: &Url, body: &[u8]) -> Answer {
        let reply: Reply = match serde_json::from_slice(body) {
            Ok(reply) => reply,
            Err(error) => return Answer::Unreadable(error.to_string()),
        };
        if let Some(error) = reply.error {
            return refusal(error.0.map(|failure| failure.code.0).unwrap_or_default());
        }
        let mut files = reply.query.0.unwrap_or_default().pages.0;
        // The best first, those without a place last; the reply is in the order of page numbers.
        files.sort_by_key(|file| file.index.0.parse::<u32>().unwrap_or(u32::MAX));
        Answer::Results { images: files.into_iter().filter_map(found).collect(), next: next(request, &reply.more.0.unwrap_or_default()) }
    }
}

/// What an error means.
fn refusal(code: String) -> Answer {
    match code.as_str() {
        "" => Answer::Unreadable("an error without a code".to_string()),
        passing if PASSING.contains(&passing) => Answer::Busy(code),
        _ if code.starts_with(INTERNAL) => Answer::Failed(code),
        _ => Answer::Refused(code),
    }
}

/// The request that goes on where the reply ended: every value of `continue` is to be given back.
fn next(request: &Url, more: &Map<String, Value>) -> Option<Url> {
    more.get("gsroffset").or(more.get("iicontinue"))?;
    let given = |name: &str| more.contains_key(name) || matches!(name, "gsroffset" | "continue" | "iicontinue");
    let kept: Vec<(String, String)> = request.query_pairs().into_owned().filter(|(name, _)| !given(name)).collect();
    let mut url = request.clone();
    url.query_pairs_mut().clear().extend_pairs(kept);
    for (name, value) in more {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        url.query_pairs_mut().append_pair(name, &value);
    }
    (url != *request && url.as_str().len() <= MAX_ADDRESS).then_some(url)
}

fn found(file: File) -> Option<(Found, String)> {
    let info = file.imageinfo.0.into_iter().next()?;
    let url = [&info.thumburl, &info.url].into_iter().find_map(|url| web_url(None, &url.0))?;
    let says = info.extmetadata.0.unwrap_or_default();
    let title = file.title.0.split_once(':').map_or(file.title.0.as_str(), |(_, name)| name);
    let title = clean_caption(&title.rsplit_once('.').map_or(title, |(name, _)| name).replace('_', " "));
    let mut captions: Vec<(&'static str, String)> = Vec::new();
    for (field, text) in [("description", says.image_description.words()), ("title", title)] {
        if !text.is_empty() && captions.iter().all(|(_, known)| *known != text) {
            captions.push((field, text));
        }
    }
    let (address, name) = (says.license_url.words(), says.license_short_name.words());
    let licence = if address.is_empty() { name } else { address };
    let author = says.artist.words();
    Some((Found { licence, author, ..Found::new(Place::Url(url), captions) }, info.descriptionurl.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &str = r#"{"batchcomplete": true, "continue": {"gsroffset": 50, "continue": "gsroffset||"}, "query": {"pages": [
        {"pageid": 9, "ns": 6, "title": "File:Second cat.png", "index": 2, "imageinfo": [{"url": "https://upload.wikimedia.org/b.png", "descriptionurl": "https://commons.wikimedia.org/wiki/File:Second_cat.png"}]},
        {"pageid": 7, "ns": 6, "title": "File:A_red.cat.jpg", "index": 1, "imageinfo": [{"thumburl": "https://upload.wikimedia.org/1280px-a.jpg", "thumbwidth": 1280,
         "url": "https://upload.wikimedia.org/a.jpg", "descriptionurl": "https://commons.wikimedia.org/wiki/File:A_red.cat.jpg",
         "extmetadata": {"ImageDescription": {"value": "<p>A <b>red</b> cat &amp; a <a href='x'>dog</a></p>", "source": "commons-desc-page"},
          "Artist": {"value": "<a href=\"//x\">Ann</a>"}, "LicenseShortName": {"value": "CC BY-SA 4.0"}, "LicenseUrl": {"value": "https://creativecommons.org/licenses/by-sa/4.0"}}}]},
        {"pageid": 8, "ns": 6, "title": "File:Gone.jpg", "index": 3}]}}"#;

    #[test]
    fn results_are_read_and_continued() {
        let service = Commons::new(&Url::parse(ENDPOINT).expect("a URL"), 1024);
        let first = service.first("a \"red\" cat");
        assert!(first.as_str().starts_with("https://commons.wikimedia.org/w/api.php?action=query&format=json"), "{first}");
        let value = |url: &Url, name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
        assert_eq!(
            (value(&first, "gsrsearch").as_deref(), value(&first, "iiurlwidth").as_deref()),
            (Some("\"a  red  cat\" filetype:bitmap"), Some("1280"))
        );
        let Answer::Results { images, next } = service.read(&first, ANSWER.as_bytes()) else { panic!("results") };
        let (found, page) = &images[0];
        assert_eq!(found.captions, [("description", "A red cat & a dog".to_string()), ("title", "A red.cat".to_string())]);
        assert_eq!((found.author.as_str(), found.licence.as_str()), ("Ann", "https://creativecommons.org/licenses/by-sa/4.0"));
        assert_eq!(page, "https://commons.wikimedia.org/wiki/File:A_red.cat.jpg");
        assert!(matches!(&found.place, Place::Url(url) if url.as_str().contains("1280px")));
        assert_eq!((images.len(), images[1].0.captions.as_slice()), (2, [("title", "Second cat".to_string())].as_slice()));
        let next = next.expect("more");
        assert_eq!((value(&next, "gsroffset").as_deref(), value(&next, "continue").as_deref()), (Some("50"), Some("gsroffset||")));
        let later = service.read(&next, ANSWER.replace("50", "100").as_bytes());
        let Answer::Results { next: Some(third), .. } = later else { panic!("more") };
        assert_eq!(third.query_pairs().filter(|(name, _)| name == "gsroffset").count(), 1);
        assert!(matches!(service.read(&next, ANSWER.as_bytes()), Answer::Results { next: None, .. }), "a reply that leads to itself ends");
    }

    #[test]
    fn errors_are_told_apart() {
        let service = Commons::new(&Url::parse(ENDPOINT).expect("a URL"), 100);
        let read = |body: &str| service.read(&service.first("x"), body.as_bytes());
        for code in PASSING {
            assert!(matches!(read(&format!(r#"{{"error": {{"code": "{code}", "info": "Waiting"}}}}"#)), Answer::Busy(why) if why == code));
        }
        assert!(matches!(read(r#"{"error": {"code": "internal_api_error_DBQueryError"}}"#), Answer::Failed(_)));
        assert!(matches!(read(r#"{"error": "x"}"#), Answer::Unreadable(_)));
        assert!(matches!(read(r#"{"error": {"code": "badvalue"}}"#), Answer::Refused(why) if why == "badvalue"));
        assert!(matches!(read("<html>"), Answer::Unreadable(_)));
        assert!(matches!(read(r#"{"batchcomplete": true}"#), Answer::Results { images, next: None } if images.is_empty()));
    }

    #[test]
    fn one_odd_file_costs_itself() {
        let service = Commons::new(&Url::parse(ENDPOINT).expect("a URL"), 100);
        let read = |odd: &str, around: &str| {
            let good =
                |i: u32| format!(r#"{{"title": "File:A cat.png", "index": {i}, "imageinfo": [{{"url": "https://e.org/{i}.png"}}]}}"#);
            let body = format!(r#"{{"query": {{"pages": [{}, {odd}, {}]}}{around}}}"#, good(1), good(3));
            match service.read(&service.first("x"), body.as_bytes()) {
                Answer::Results { images, .. } => images.len(),
                _ => 0,
            }
        };
        for odd in [
            "null",
            "[]",
            "\"x\"",
            "7",
            "{}",
            r#"{"imageinfo": null}"#,
            r#"{"imageinfo": [{"url": null}]}"#,
            r#"{"imageinfo": [{"url": 7}]}"#,
        ] {
            assert_eq!(read(odd, ""), 2, "{odd}");
        }
        for odd in [
            r#""extmetadata": []"#,
            r#""extmetadata": {"Artist": {"value": 4}}"#,
            r#""extmetadata": {"Artist": [], "LicenseUrl": null}"#,
            r#""descriptionurl": null"#,
            r#""thumburl": """#,
        ] {
            let file = format!(r#"{{"title": "File:A.png", "index": null, "imageinfo": [{{"url": "https://e.org/x.png", {odd}}}]}}"#);
            assert_eq!(read(&file, ""), 3, "{odd}");
            assert_eq!(read(&file.replace("null,", "-1,"), r#", "continue": []"#), 3, "{odd}");
        }
        for body in [r#"{"query": null}"#, r#"{"query": []}"#, r#"{"query": {"pages": null}}"#] {
            let empty = service.read(&service.first("x"), body.as_bytes());
            assert!(matches!(empty, Answer::Results { images, next: None } if images.is_empty()), "{body}");
        }
    }

    proptest! {
        #[test]
        fn mutated_answers_are_read(at in any::<prop::sample::Index>(), value in any::<u8>()) {
            let mut body = ANSWER.as_bytes().to_vec();
            let at = at.index(body.len());
            body[at] = value;
            let service = Commons::new(&Url::parse(ENDPOINT).expect("a URL"), 1);
            service.read(&service.first("x"), &body);
        }
    }
}
