//! Openverse's search of images (`/v1/images/`), as its documentation describes it.
//!
//! Without an account a page has at most 20 results, a client may ask once a second, and only the first pages of a query are to be had.

use crate::lenient::{Records, Text};
use crate::page::{Found, Place};
use crate::search::{Answer, Search};
use crate::urls::web_url;
use serde::Deserialize;
use shards::clean_caption;
use url::Url;

/// Where it is to be had.
pub(crate) const ENDPOINT: &str = "https://api.openverse.org/v1/images/";
/// Results of a page: the most that a client without an account gets.
const RESULTS: usize = 20;
/// Pages asked for, whatever the service says there are.
const MAX_PAGES: u64 = 500;

/// The service.
pub(crate) struct Openverse {
    endpoint: Url,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    page_count: Text,
    results: Option<Records<Image>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Image {
    title: Text,
    url: Text,
    foreign_landing_url: Text,
    creator: Text,
    license: Text,
    license_version: Text,
    license_url: Text,
}

impl Openverse {
    /// The service at an address.
    pub(crate) fn new(endpoint: &Url) -> Self {
        Openverse { endpoint: endpoint.clone() }
    }

    fn request(&self, query: &str, page: u64) -> Url {
        let mut url = self.endpoint.clone();
        url.query_pairs_mut().append_pair("q", query).append_pair("page", &page.to_string()).append_pair("page_size", &RESULTS.to_string());
        url
    }
}

impl Search for Openverse {
    fn first(&self, query: &str) -> Url {
        self.request(query, 1)
    }

    fn read(&self, request: &Url, body: &[u8]) -> Answer {
        let page: Page = match serde_json::from_slice(body) {
            Ok(page) => page,
            Err(error) => return Answer::Unreadable(error.to_string()),
        };
        let Some(Records(results)) = page.results else { return Answer::Unreadable("it has no results".to_string()) };
        let value = |name: &str| request.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
        let number = value("page").and_then(|page| page.parse::<u64>().ok()).unwrap_or(1);
        let pages = page.page_count.0.parse().unwrap_or(0).min(MAX_PAGES);
        let more = !results.is_empty() && number < pages;
        let next = more.then(|| self.request(&value("q").unwrap_or_default(), number + 1));
        Answer::Results { images: results.into_iter().filter_map(found).collect(), next }
    }
}

fn found(image: Image) -> Option<(Found, String)> {
    let url = web_url(None, &image.url.0)?;
    let caption = clean_caption(&image.title.0);
    let captions = if caption.is_empty() { Vec::new() } else { vec![("title", caption)] };
    let name = [image.license.0, image.license_version.0].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let licence = if image.license_url.0.is_empty() { name } else { image.license_url.0 };
    let author = clean_caption(&image.creator.0);
    let page = web_url(None, &image.foreign_landing_url.0).map(String::from).unwrap_or_default();
    Some((Found { licence, author, ..Found::new(Place::Url(url), captions) }, page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &str = r#"{"result_count": 41, "page_count": 3, "page_size": 20, "page": 1, "results": [
        {"id": "1", "title": "A  red &amp; cat", "url": "https://live.staticflickr.com/1.jpg", "foreign_landing_url": "https://www.flickr.com/1",
         "creator": "Ann", "license": "by", "license_version": "2.0", "license_url": "https://creativecommons.org/licenses/by/2.0/", "tags": [{"name": "cat"}]},
        {"id": "2", "title": null, "url": "https://e.org/2.jpg", "license": "cc0", "license_version": "1.0"},
        {"id": "3", "title": "no address", "url": null}]}"#;

    #[test]
    fn pages_follow_each_other() {
        let service = Openverse::new(&Url::parse(ENDPOINT).expect("a URL"));
        let first = service.first("red cat & dog");
        assert_eq!(first.as_str(), "https://api.openverse.org/v1/images/?q=red+cat+%26+dog&page=1&page_size=20");
        let Answer::Results { images, next } = service.read(&first, ANSWER.as_bytes()) else { panic!("results") };
        assert_eq!(images.len(), 2);
        let (found, page) = &images[0];
        assert_eq!(
            (found.captions.as_slice(), page.as_str()),
            ([("title", "A red & cat".to_string())].as_slice(), "https://www.flickr.com/1")
        );
        assert_eq!((found.author.as_str(), found.licence.as_str()), ("Ann", "https://creativecommons.org/licenses/by/2.0/"));
        assert_eq!((images[1].0.licence.as_str(), images[1].0.captions.len()), ("cc0 1.0", 0));
        let next = next.expect("a second page");
        assert_eq!(next.as_str(), "https://api.openverse.org/v1/images/?q=red+cat+%26+dog&page=2&page_size=20");
        let last = service.request("red cat", 3);
        assert!(matches!(service.read(&last, ANSWER.as_bytes()), Answer::Results { next: None, .. }));
        assert!(matches!(service.read(&first, b"<html>"), Answer::Unreadable(_)));
    }

    #[test]
    fn one_odd_image_costs_itself() {
        let service = Openverse::new(&Url::parse(ENDPOINT).expect("a URL"));
        let read = |odd: &str, count: &str| {
            let body = format!(
                r#"{{"page_count": {count}, "results": [{{"url": "https://e.org/1.jpg"}}, {odd}, {{"url": "https://e.org/3.jpg"}}]}}"#
            );
            match service.read(&service.first("x"), body.as_bytes()) {
                Answer::Results { images, next } => (images, next.is_some()),
                _ => (Vec::new(), false),
            }
        };
        for odd in ["null", "\"x\"", "[]", r#"{"url": 7}"#, r#"{"url": null}"#] {
            assert_eq!(read(odd, "null").0.len(), 2, "{odd}");
        }
        for odd in [r#""title": 5"#, r#""creator": []"#, r#""license": null"#, r#""foreign_landing_url": {}"#] {
            let (images, more) = read(&format!(r#"{{"url": "https://e.org/2.jpg", {odd}}}"#), "\"2\"");
            assert_eq!((images.len(), more), (3, true), "{odd}");
        }
        let (images, _) = read(r#"{"url": "https://e.org/2.jpg", "license": "by", "license_version": 2.0}"#, "1");
        assert_eq!(images[1].0.licence, "by 2.0");
        let none = service.read(&service.first("x"), br#"{"results": null}"#);
        assert!(matches!(none, Answer::Unreadable(_)));
    }

    proptest! {
        #[test]
        fn mutated_answers_are_read(at in any::<prop::sample::Index>(), value in any::<u8>()) {
            let mut body = ANSWER.as_bytes().to_vec();
            let at = at.index(body.len());
            body[at] = value;
            let service = Openverse::new(&Url::parse(ENDPOINT).expect("a URL"));
            service.read(&service.first("x"), &body);
        }
    }
}
