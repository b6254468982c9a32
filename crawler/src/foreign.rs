//! The readers of what hosts send, open to whoever feeds them damaged bytes (`tests/fuzz`). No program should call them.

use crate::fetch::AGENT;
use crate::optout::Directives;
use crate::page::Reading;
use crate::robots::Rules;
use crate::{OBEYED_GROUPS, charset, page, sitemap, xhtml};
use url::Url;

/// Width in pixels from which on a larger size of an image is of no use here.
const ENOUGH: u32 = 1024;

/// Reads bytes as `robots.txt`, as `ai.txt` and as TDMRep's file, and asks whether some addresses may be fetched.
pub fn robots(bytes: &[u8]) -> usize {
    let also = OBEYED_GROUPS.map(str::to_ascii_lowercase);
    let mut rules = Rules::parse(bytes, AGENT, &also);
    rules.read_ai_txt(bytes, AGENT, &also);
    rules.read_tdmrep(bytes);
    let addresses = ["http://e.org/", "http://e.org/a/b.jpg?x=1&y=%2F", "http://e.org/%C3%A9$*/a%00"];
    let allowed =
        addresses.iter().filter_map(|text| Url::parse(text).ok()).filter(|url| rules.allow(url) && rules.opted_out(url).is_none());
    allowed.count() + usize::from(rules.may_enter()) + rules.size()
}

/// Reads bytes as a page: its letters, then its links and images.
pub fn html(bytes: &[u8]) -> usize {
    let Ok(url) = Url::parse("http://e.org/a/b.html?c") else { return 0 };
    let text = xhtml::as_html(charset::decode(bytes, None), None);
    let also = OBEYED_GROUPS.map(str::to_ascii_lowercase);
    let reading = Reading { enough: ENOUGH, also: &also, links: Some(&|_| true) };
    let page = page::extract(&text, &url, Directives::default(), reading);
    page.links.len() + page.captions()
}

/// Reads bytes as a sitemap.
pub fn sitemap(bytes: &[u8]) -> usize {
    let map = sitemap::read(bytes);
    map.pages.len() + map.maps.len()
}
