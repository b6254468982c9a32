//! Places without end: calendars, counters, sessions in addresses. They are known by their fruitlessness.
//!
//! Pages whose addresses differ only in numbers have one **shape**. A page bears fruit when it shows a pair that was never seen, or
//! links to a page that was never seen, of another shape that is still open. After [`PATIENCE`] pages of a shape without fruit the
//! shape is closed: its pages are neither asked for nor followed any more. A month of a calendar leads to new days, which are a
//! shape of their own; once the days are closed, new days are no fruit, and the months close too.
//!
//! Kept in memory alone: after a restart a trap costs its patience once more.

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard};
use url::Url;

/// The outcome of a page that was closed without being asked for.
pub(crate) const TRAP: &str = "trap";
/// Pages without fruit, one after the other, after which a shape is closed. Sites with long stretches of numbered pages without
/// pictures exist; those of 200 without one link elsewhere are rare.
const PATIENCE: u32 = 200;
/// Shapes and links remembered: 16 bytes each. When full, all are forgotten, which only makes traps last longer.
const MAX_KNOWN: usize = 1 << 20;
/// Letters and digits from which on a part of a path counts as a number.
const TOKEN: usize = 12;

/// What is known of the shapes of a crawl.
#[derive(Default)]
pub(crate) struct Traps {
    // Held for a few look-ups, never across an await.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Pages without fruit since the last one with some, by shape.
    barren: FxHashMap<u64, u32>,
    /// Pages that have been linked to.
    links: FxHashSet<u64>,
}

impl Known {
    fn is_closed(&self, shape: u64) -> bool {
        self.barren.get(&shape).is_some_and(|barren| *barren >= PATIENCE)
    }
}

impl Traps {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Whether pages like this one have given nothing for long.
    pub(crate) fn is_closed(&self, url: &Url) -> bool {
        self.known().is_closed(shape(url))
    }

    /// Learns what a page gave: whether it showed a new pair, and the links of its site.
    pub(crate) fn learn(&self, url: &Url, new_pair: bool, links: &[Url]) {
        let own = shape(url);
        let mut known = self.known();
        if known.links.len() + links.len() > MAX_KNOWN || known.barren.len() >= MAX_KNOWN {
            *known = Known::default();
        }
        let mut fruit = new_pair;
        for link in links {
            let new = known.links.insert(fingerprint(link.as_str()));
            let shape = shape(link);
            fruit |= new && shape != own && !known.is_closed(shape);
        }
        if fruit {
            known.barren.remove(&own);
        } else {
            let barren = known.barren.entry(own).or_default();
            *barren = barren.saturating_add(1);
        }
    }
}

fn fingerprint(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The shape of an address: host and path with every number as `0`, and the names in its query.
fn shape(url: &Url) -> u64 {
    let mut text = url.host_str().unwrap_or_default().to_string();
    for part in url.path().split('/') {
        text.push('/');
        push_shape(&mut text, part);
    }
    for (name, _) in url.query_pairs() {
        text.push('&');
        push_shape(&mut text, &name);
    }
    fingerprint(&text)
}

fn push_shape(text: &mut String, part: &str) {
    // Names of sessions mix letters and digits at random; titles are words with blanks or hyphens between.
    let token =
        part.len() >= TOKEN && part.chars().all(|c| c.is_ascii_alphanumeric()) && part.chars().filter(char::is_ascii_digit).count() >= 3;
    let mut number = false;
    for c in if token { "0" } else { part }.chars() {
        if !(c.is_ascii_digit() && number) {
            text.push(if c.is_ascii_digit() { '0' } else { c });
        }
        number = c.is_ascii_digit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &str) -> Url {
        Url::parse("http://e.org").and_then(|base| base.join(path)).expect("a URL")
    }

    #[test]
    fn numbers_make_no_difference_and_words_do() {
        let same = |a: &str, b: &str| shape(&url(a)) == shape(&url(b));
        assert!(same("/2024/05.html", "/1999/12.html") && same("/a?page=1&x=", "/a?page=77&x=y"));
        assert!(same("/s/9f3ab77c01d2/x", "/s/00aa11bb22cc33/x"));
        assert!(!same("/a/1", "/b/1") && !same("/a?x=1", "/a?y=1") && !same("/cats", "/dogs") && !same("/1", "/1/2"));
        assert!(!same("/internationalisation", "/industrialisations"));
    }

    /// Walks a calendar whose months lead to 28 days, the months before and after, and home.
    #[test]
    fn a_calendar_closes_and_lists_stay_open() {
        let traps = Traps::default();
        let mut visited = 0;
        for month in 0..2000 {
            let here = url(&format!("/cal/{month}.html"));
            if traps.is_closed(&here) {
                break;
            }
            let days: Vec<Url> = (1..29).map(|day| url(&format!("/cal/{month}/{day}.html"))).collect();
            let links = [&days[..], &[url("/"), url(&format!("/cal/{}.html", month + 1))]].concat();
            traps.learn(&here, false, &links);
            visited += 1;
            for day in days.iter().filter(|day| !traps.is_closed(day)) {
                traps.learn(day, false, &[url("/"), here.clone()]);
                visited += 1;
            }
        }
        assert!((400..450).contains(&visited), "{visited}");

        // Each list leads to new albums, and albums show something new now and then.
        for list in 0..1000 {
            let here = url(&format!("/list/{list}"));
            let albums: Vec<Url> = (0..10).map(|album| url(&format!("/album/{}", 10 * list + album))).collect();
            traps.learn(&here, false, &albums);
            albums.iter().enumerate().for_each(|(at, album)| traps.learn(album, at == 0, &[]));
            assert!(!traps.is_closed(&here) && !traps.is_closed(&albums[0]));
        }
    }
}
