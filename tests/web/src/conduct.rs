//! How a crawler behaved, as the server saw it: what it asked for that it must not, and where it did not wait.

use crate::Web;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// More different places than any test asks for; a client gone wild must not fill the memory.
const MAX_PLACES: usize = 1 << 17;

/// What a crawler did that it must not. All empty and 0 for a polite one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conduct {
    /// Places asked for although they are forbidden, refused or not worth it.
    pub forbidden_asked: Vec<String>,
    /// Requests made before the time that `Retry-After` said.
    pub impatient: u64,
    /// Hosts asked faster than their crawl delay.
    pub hurried: Vec<String>,
    /// Endless places in which it lost itself.
    pub lost: Vec<String>,
}

impl Conduct {
    /// The number of findings.
    pub fn findings(&self) -> u64 {
        self.impatient + (self.forbidden_asked.len() + self.hurried.len() + self.lost.len()) as u64
    }
}

/// What the server notes of requests. A plain mutex: the sections are short and hold no await.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Requests by place.
    counts: BTreeMap<String, u64>,
    /// First and last request of each host, and their number.
    hosts: BTreeMap<String, (Instant, Instant, u32)>,
    /// When a busy place may be asked again.
    busy: BTreeMap<String, SystemTime>,
    impatient: u64,
}

impl Notes {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        // Counters stay usable even if a thread died while adding one.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a request and returns the number of earlier ones for the place.
    pub fn count(&self, place: &str) -> u64 {
        let now = Instant::now();
        self.with(|inner| {
            if let Some(host) = host_of(place) {
                let entry = inner.hosts.entry(host.to_string()).or_insert((now, now, 0));
                (entry.1, entry.2) = (now, entry.2 + 1);
            }
            if inner.counts.len() >= MAX_PLACES && !inner.counts.contains_key(place) {
                return 0;
            }
            let count = inner.counts.entry(place.to_string()).or_insert(0);
            *count += 1;
            *count - 1
        })
    }

    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.with(|inner| inner.counts.clone())
    }

    /// Until when a busy place is busy, `None` once it no longer is. The first request sets the time, in whole seconds as dates
    /// have it.
    pub fn busy_until(&self, place: &str, wait: Duration) -> Option<SystemTime> {
        let now = SystemTime::now();
        self.with(|inner| match inner.busy.get(place) {
            None => {
                let until = now + wait;
                inner.busy.insert(place.to_string(), until);
                Some(until)
            }
            Some(&until) if whole_seconds(now) < whole_seconds(until) && now < until => {
                inner.impatient += 1;
                Some(until)
            }
            Some(_) => None,
        })
    }
}

fn whole_seconds(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The host of a place that is not the main one's.
fn host_of(place: &str) -> Option<&str> {
    place.strip_prefix("//")?.split('/').next()
}

impl Web {
    /// How the crawler behaved so far.
    pub fn conduct(&self) -> Conduct {
        let plan = self.plan();
        self.notes.with(|inner| {
            let hurried = plan.delays.iter().filter(|(host, delay)| {
                // One wait less than there are gaps, because the first request may come late and the last early.
                inner.hosts.get(host).is_some_and(|(first, last, n)| last.duration_since(*first) < *delay * n.saturating_sub(3))
            });
            let asked = |start: &str| -> u64 {
                let from = inner.counts.range(start.to_string()..);
                from.take_while(|(place, _)| place.starts_with(start)).map(|(_, n)| n).sum()
            };
            Conduct {
                forbidden_asked: plan.forbidden.iter().filter(|place| inner.counts.contains_key(*place)).cloned().collect(),
                impatient: inner.impatient,
                hurried: hurried.map(|(host, _)| host.clone()).collect(),
                lost: plan.endless.iter().filter(|(start, most)| asked(start) > *most).map(|(start, _)| start.clone()).collect(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;

    fn tiny() -> Web {
        Web::generate(1, Size { per_class: 1, copies: 1, faults: 1, test_per_class: 1 })
    }

    #[test]
    fn what_a_crawler_must_not_do_is_noticed() {
        let web = tiny();
        assert_eq!(web.conduct().findings(), 0);
        let forbidden = web.plan().forbidden[0].clone();
        web.notes.count(&forbidden);
        for _ in 0..10 {
            web.notes.count("//shy.localhost/");
        }
        for number in 0..1001 {
            web.notes.count(&format!("//archive.localhost/calendar/{number}/01.html"));
        }
        let conduct = web.conduct();
        assert_eq!(conduct.forbidden_asked, [forbidden]);
        assert_eq!(conduct.hurried, ["shy.localhost"]);
        assert_eq!(conduct.lost, ["//archive.localhost/calendar/"]);
        assert_eq!(conduct.findings(), 3);
    }

    #[test]
    fn a_busy_place_wants_to_be_waited_for() {
        let notes = Notes::default();
        let long = Duration::from_secs(3600);
        let until = notes.busy_until("/a", long).expect("busy");
        assert_eq!(notes.busy_until("/a", long), Some(until));
        assert_eq!(notes.busy_until("/b", Duration::ZERO).map(|_| ()), Some(()));
        assert_eq!(notes.busy_until("/b", Duration::ZERO), None);
        assert_eq!(notes.with(|inner| inner.impatient), 1);
    }
}
