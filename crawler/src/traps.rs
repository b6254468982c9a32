//! Places without end: calendars, counters, sessions in addresses, pages of random words. They are known by their fruitlessness.
//!
//! Pages whose addresses differ only in numbers have one **shape** (`shapes`). A page bears fruit when it shows a pair that was never seen,
//! or links to a page that was never seen, of another shape that is still open. After [`PATIENCE`] pages of a shape without fruit the
//! shape is closed: its pages are neither asked for nor followed any more. A month of a calendar leads to new days, which are a
//! shape of their own; once the days are closed, new days are no fruit, and the months close too.
//!
//! A place may make up new shapes without end. So pages count by **coarse shape** and by host too, and there only pairs are fruit: after
//! [`COARSE_PATIENCE`] pages in a row without a new pair a coarse shape closes, after [`HOST_PATIENCE`] a host. Pages that lead to others
//! need no pairs of their own: a new pair counts for the coarse shapes through which its page was found, too.
//!
//! Kept in memory alone: after a restart a trap costs its patience once more.

use crate::shapes::{Shapes, fingerprint};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::{Mutex, MutexGuard};
use url::Url;

/// The outcome of a page that was closed without being asked for.
pub(crate) const TRAP: &str = "trap";
/// Pages without fruit, one after the other, after which a shape is closed. Sites with long stretches of numbered pages without
/// pictures exist; those of 200 without one link elsewhere are rare.
const PATIENCE: u32 = 200;
/// Pages of a coarse shape without a new pair.
const COARSE_PATIENCE: u32 = 1000;
/// Pages of a host without a new pair.
const HOST_PATIENCE: u32 = 2000;
/// Steps from a page with a new pair back towards the seed that share in it: photo, album, list, overview.
const STEPS_BACK: usize = 4;
/// Shapes and links remembered: 16 bytes each. When full, all are forgotten, which only makes traps last longer.
const MAX_KNOWN: usize = 1 << 20;

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
    /// Pages since the last new pair, by coarse shape and by host.
    pairless: FxHashMap<u64, u32>,
    /// The coarse shape of pages that led to one of this coarse shape.
    from: FxHashMap<u64, u64>,
    /// Pages that have been linked to.
    links: FxHashSet<u64>,
}

impl Known {
    fn is_closed(&self, shapes: &Shapes) -> bool {
        let reached = |counts: &FxHashMap<u64, u32>, shape: u64, patience: u32| counts.get(&shape).is_some_and(|count| *count >= patience);
        reached(&self.barren, shapes.fine, PATIENCE)
            || reached(&self.pairless, shapes.coarse, COARSE_PATIENCE)
            || reached(&self.pairless, shapes.host, HOST_PATIENCE)
    }

    fn is_full(&self, links: usize) -> bool {
        self.links.len() + links > MAX_KNOWN || self.barren.len().max(self.pairless.len()).max(self.from.len()) >= MAX_KNOWN
    }

    /// A page showed a new pair: those that led to it did well.
    fn credit(&mut self, shapes: &Shapes) {
        self.pairless.remove(&shapes.host);
        let mut shape = shapes.coarse;
        for _ in 0..=STEPS_BACK {
            self.pairless.remove(&shape);
            match self.from.get(&shape) {
                Some(from) => shape = *from,
                None => break,
            }
        }
    }
}

impl Traps {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Whether pages like this one have given nothing for long.
    pub(crate) fn is_closed(&self, url: &Url) -> bool {
        let shapes = Shapes::of(url);
        self.known().is_closed(&shapes)
    }

    /// Learns what a page gave: whether it showed a new pair, and the links of its site.
    pub(crate) fn learn(&self, url: &Url, new_pair: bool, links: &[Url]) {
        // Before others are kept waiting: a page may have thousands of links.
        let own = Shapes::of(url);
        let links = links.iter().filter(|link| link.scheme() == "http" || link.scheme() == "https");
        let links: Vec<(u64, Shapes)> = links.map(|link| (fingerprint(link.as_str()), Shapes::of(link))).collect();
        let mut known = self.known();
        if known.is_full(links.len()) {
            *known = Known::default();
        }
        let mut fruit = new_pair;
        for (link, target) in &links {
            if !known.links.insert(*link) {
                continue;
            }
            if target.coarse != own.coarse {
                known.from.insert(target.coarse, own.coarse);
            }
            fruit = fruit || target.fine != own.fine && !known.is_closed(target);
        }
        if fruit {
            known.barren.remove(&own.fine);
        } else {
            count(&mut known.barren, own.fine);
        }
        if new_pair {
            known.credit(&own);
        } else {
            count(&mut known.pairless, own.coarse);
            count(&mut known.pairless, own.host);
        }
    }
}

fn count(counts: &mut FxHashMap<u64, u32>, shape: u64) {
    let count = counts.entry(shape).or_default();
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &str) -> Url {
        Url::parse("http://e.org").and_then(|base| base.join(path)).expect("a URL")
    }

    /// Pages visited of those that `page` gives for 0, 1, 2..., each of which links to the next ten.
    fn visited(page: impl Fn(u64) -> String) -> usize {
        let traps = Traps::default();
        let mut visited = 0;
        for n in 0..20_000 {
            let here = url(&page(n));
            if traps.is_closed(&here) {
                break;
            }
            let links: Vec<Url> = (n + 1..n + 11).map(|n| url(&page(n))).collect();
            traps.learn(&here, false, &links);
            visited += 1;
        }
        visited
    }

    /// Letters that follow from a number, as long as asked for.
    fn letters(n: u64, length: usize) -> String {
        let mut n = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let letter = |_| {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + (n >> 40) as u8 % 26)
        };
        (0..length).map(letter).collect()
    }

    fn hex(n: u64) -> String {
        format!("{:016x}{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n.wrapping_mul(0xc2b2_ae3d_27d4_eb4f))
    }

    #[test]
    fn sessions_in_addresses_close() {
        let uuid = |n: u64| {
            let hex = hex(n + 1);
            format!("/s/{}-{}-{}-{}-{}/x", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
        };
        for page in [&uuid as &dyn Fn(u64) -> String, &|n| format!("/a;jsessionid={}!1234", hex(n + 1)), &|n| {
            format!("/(S({}))/a.aspx", letters(n, 24))
        }] {
            let visited = visited(page);
            assert!(visited <= 220, "{}: {visited}", page(1));
        }
        assert!(visited(|n| format!("/{}", "x/".repeat(n as usize + 1))) <= 220);
    }

    #[test]
    fn words_without_end_close_later() {
        let parameters = visited(|n| format!("/?{}=1", letters(n, 8)));
        let words = visited(|n| format!("/{}.html", letters(n, 8)));
        assert_eq!((parameters, words), (1000, 1000));
        // Whatever they are called and however deep they lie.
        let ends = ["html", "php", "asp", "jsp", "cgi"];
        let mixed = visited(|n| format!("/{}{}.{}", "a/".repeat(n as usize % 2), letters(n, 8), ends[n as usize % 5]));
        assert_eq!(mixed, 2000);
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

    #[test]
    fn pages_that_lead_to_pairs_stay_open() {
        let traps = Traps::default();
        for n in 0..5000 {
            let (list, album, photo) =
                (url(&format!("/{}/", letters(n, 9))), url(&format!("/a/{}/x", letters(n, 9))), url(&format!("/p/{n}.html")));
            assert!([&list, &album, &photo].iter().all(|page| !traps.is_closed(page)), "{n}");
            traps.learn(&list, false, std::slice::from_ref(&album));
            traps.learn(&album, false, std::slice::from_ref(&photo));
            traps.learn(&photo, n % 50 == 0, &[]);
        }
    }
}
