//! Politeness by host: how many connections at a time, how many requests a second, and waits that hosts ask for.
//!
//! Knows names and times, no requests. A host is its name with port.

use crate::lane::{Lane, Place};
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// Idle hosts are forgotten when so many are known: about 200 bytes each.
const MAX_HOSTS: usize = 1 << 16;
/// Slowest rate believed: a request an hour.
const MAX_INTERVAL: Duration = Duration::from_secs(3600);

/// Failures to answer, one after the other, after which a host is left alone for [`REST`].
pub(crate) const GIVE_UP: u32 = 20;
/// Times in a row that a host may ask for a wait before it is left alone for [`REST`].
const PATIENCE: u32 = 8;
/// Longest wait of our own before a host that is busy is asked again.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// Longest time that a host is left alone because it asks for it.
const MAX_REST: Duration = Duration::from_secs(24 * 3600);
/// How long a host that does not answer is left alone; then one more failure is enough.
const REST: Duration = Duration::from_secs(600);

/// The hosts of a crawl.
pub(crate) struct Hosts {
    /// Connections at a time; 0 for no limit.
    connections: usize,
    /// Least time between the starts of two requests.
    interval: Duration,
    // A std mutex: held for a look-up, never across an await.
    known: Mutex<FxHashMap<String, Arc<Host>>>,
}

struct Host {
    /// `None` for no limit.
    lane: Option<Lane>,
    pace: Mutex<Pace>,
}

struct Pace {
    /// The next free start.
    next: Instant,
    /// No request starts before: the host asked for a pause.
    held_until: Instant,
    /// Least time between two starts: the crawl's own, or the host's crawl delay.
    interval: Duration,
    /// Failures to answer since the last answer, and when and how the last one was.
    failures: u32,
    failed: Option<(Instant, &'static str)>,
    answered: Option<Instant>,
    /// Times in a row that it asked for a wait, and until when it is left alone for that, with the outcome of what is asked of it.
    waits: u32,
    rest: Option<Rest>,
}

/// A time for which a host is left alone because it asks for that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rest {
    until: Instant,
    /// How long it is in all.
    pub(crate) length: Duration,
    /// The outcome of what would be asked of it.
    pub(crate) outcome: &'static str,
}

/// Leave to make one request; the connection counts as taken until it is dropped.
pub(crate) struct Turn {
    _place: Option<Place>,
}

impl Host {
    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Takes the next free start.
    fn reserve(&self) -> Instant {
        let mut pace = self.pace();
        let start = pace.next.max(pace.held_until).max(Instant::now());
        pace.next = start + pace.interval;
        start
    }
}

impl Hosts {
    /// Allows `connections` at a time and `rate` requests a second for each host; 0 means no limit.
    pub(crate) fn new(connections: usize, rate: f64) -> Self {
        let interval =
            if rate > 0.0 { Duration::try_from_secs_f64(1.0 / rate).unwrap_or(MAX_INTERVAL).min(MAX_INTERVAL) } else { Duration::ZERO };
        Hosts { connections, interval, known: Mutex::default() }
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut known = self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(host) = known.get(name) {
            return host.clone();
        }
        let now = Instant::now();
        if known.len() >= MAX_HOSTS {
            // In use, or with a wait still to be kept: not forgotten.
            known.retain(|_, host| Arc::strong_count(host) > 1 || host.reserve_is_pending(now));
        }
        let host = Arc::new(Host {
            lane: (self.connections > 0).then(|| Lane::new(self.connections)),
            pace: Mutex::new(Pace {
                next: now,
                held_until: now,
                interval: self.interval,
                failures: 0,
                failed: None,
                answered: None,
                waits: 0,
                rest: None,
            }),
        });
        known.insert(name.to_string(), host.clone());
        host
    }

    /// Waits until a request to the host may start. What has `begun` with another request goes before all that has not: otherwise a crawl
    /// of many redirects asks for all their first addresses before it has any picture.
    pub(crate) async fn enter(&self, name: &str, begun: bool) -> Turn {
        let host = self.host(name);
        let place = match &host.lane {
            Some(lane) => Some(lane.enter(begun).await),
            None => None,
        };
        loop {
            tokio::time::sleep_until(host.reserve()).await;
            // The host may have asked for a pause meanwhile.
            if host.pace().held_until <= Instant::now() {
                return Turn { _place: place };
            }
        }
    }

    /// Starts no request to the host for `pause`.
    pub(crate) fn hold(&self, name: &str, pause: Duration) {
        let host = self.host(name);
        let mut pace = host.pace();
        pace.held_until = pace.held_until.max(Instant::now() + pause);
    }

    /// The host is busy, it says in answer to a request that began at `begun`, and asks for a wait before the next one; if not, it is given
    /// `backoff`, twice as long each time. A wait of more than `longest`, or one for the [`PATIENCE`]th time in a row, is a wish to be left
    /// alone.
    pub(crate) fn asked_for(
        &self,
        name: &str,
        wait: Option<Duration>,
        backoff: Duration,
        longest: Duration,
        outcome: &'static str,
        begun: Instant,
    ) {
        let host = self.host(name);
        let mut pace = host.pace();
        let now = Instant::now();
        // Answers to what was in flight at once ask once.
        pace.waits += u32::from(begun >= pace.held_until);
        let own = backoff.saturating_mul(1 << (pace.waits.max(1) - 1).min(16)).min(MAX_BACKOFF);
        let wait = wait.filter(|wait| !wait.is_zero()).unwrap_or(own);
        if wait > longest || pace.waits >= PATIENCE {
            // Who waits for a turn there is let in, and turned away by this.
            let length = wait.clamp(REST, MAX_REST);
            pace.rest = Some(Rest { until: now + length, length, outcome });
        } else {
            pace.held_until = pace.held_until.max(now + wait);
        }
        (pace.failures, pace.answered) = (0, Some(now));
    }

    /// The time for which the host is left alone now because it asked for that.
    pub(crate) fn rest(&self, name: &str) -> Option<Rest> {
        let host = self.host(name);
        let mut pace = host.pace();
        if pace.rest.is_some_and(|rest| rest.until <= Instant::now()) {
            (pace.waits, pace.rest) = (0, None);
        }
        pace.rest
    }

    /// Counts a failure to answer a request that began at `begun`, unless the host has answered another one since then.
    pub(crate) fn failed(&self, name: &str, outcome: &'static str, begun: Instant) {
        let host = self.host(name);
        let mut pace = host.pace();
        if pace.answered.is_some_and(|answered| answered >= begun) {
            return;
        }
        pace.failures += 1;
        pace.failed = Some((Instant::now(), outcome));
    }

    /// Forgets failures: the host has answered.
    pub(crate) fn answered(&self, name: &str) {
        let host = self.host(name);
        let mut pace = host.pace();
        (pace.failures, pace.answered, pace.waits) = (0, Some(Instant::now()), 0);
    }

    /// How the host failed last, if it has failed so often that it is left alone now.
    pub(crate) fn gave_up(&self, name: &str) -> Option<&'static str> {
        self.gave_up_at(name, Instant::now())
    }

    fn gave_up_at(&self, name: &str, now: Instant) -> Option<&'static str> {
        let host = self.host(name);
        let mut pace = host.pace();
        let (when, outcome) = pace.failed.filter(|_| pace.failures >= GIVE_UP)?;
        if now.duration_since(when) >= REST {
            pace.failures = GIVE_UP - 1;
            return None;
        }
        Some(outcome)
    }

    /// Sets the least time between two requests to the host, if that is more than the crawl's own.
    pub(crate) fn set_delay(&self, name: &str, delay: Duration) {
        self.host(name).pace().interval = delay.max(self.interval);
    }
}

impl Host {
    fn reserve_is_pending(&self, now: Instant) -> bool {
        let pace = self.pace();
        pace.next.max(pace.held_until) > now
            || pace.rest.is_some_and(|rest| rest.until > now)
            || pace.failures >= GIVE_UP
            || pace.interval > Duration::from_secs(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Real time, in bounds that a busy machine keeps: waits may be longer than asked for, never shorter.

    #[tokio::test]
    async fn starts_are_spaced_by_the_rate() {
        let hosts = Hosts::new(0, 50.0);
        let begun = Instant::now();
        for _ in 0..11 {
            hosts.enter("a", false).await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
        let slow = Hosts::new(0, 0.001);
        slow.enter("a", false).await;
        let other = tokio::time::timeout(Duration::from_secs(60), slow.enter("b", false)).await;
        assert!(other.is_ok(), "another host does not wait");
        assert!(tokio::time::timeout(Duration::from_millis(50), slow.enter("a", false)).await.is_err());
    }

    #[tokio::test]
    async fn connections_are_bounded() {
        let hosts = Hosts::new(2, 0.0);
        let first = hosts.enter("a", false).await;
        let _second = hosts.enter("a", false).await;
        assert!(tokio::time::timeout(Duration::from_millis(50), hosts.enter("a", false)).await.is_err());
        drop(first);
        assert!(tokio::time::timeout(Duration::from_secs(60), hosts.enter("a", false)).await.is_ok());
    }

    #[tokio::test]
    async fn hosts_that_never_answer_are_left_alone() {
        let hosts = Hosts::new(0, 0.0);
        (1..GIVE_UP).for_each(|_| hosts.failed("a", "timeout", Instant::now()));
        assert_eq!(hosts.gave_up("a"), None);
        hosts.failed("a", "connect", Instant::now());
        assert_eq!((hosts.gave_up("a"), hosts.gave_up("b")), (Some("connect"), None));
        assert_eq!(hosts.gave_up_at("a", Instant::now() + REST), None);
        hosts.failed("a", "timeout", Instant::now());
        assert_eq!(hosts.gave_up("a"), Some("timeout"));
        let begun = Instant::now();
        hosts.answered("a");
        assert_eq!(hosts.gave_up("a"), None);
        (0..GIVE_UP).for_each(|_| hosts.failed("a", "timeout", begun));
        assert_eq!(hosts.gave_up("a"), None, "it answered others meanwhile");
    }

    #[tokio::test]
    async fn hosts_that_ask_for_it_are_left_alone() {
        let hosts = Hosts::new(0, 0.0);
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        hosts.asked_for("a", Some(60 * minute), second, minute, "http_429", Instant::now());
        let rest = hosts.rest("a").expect("a rest");
        assert_eq!((rest.outcome, rest.length), ("http_429", 60 * minute));
        assert!(tokio::time::timeout(minute, hosts.enter("a", false)).await.is_ok(), "nobody waits for that long");
        hosts.asked_for("b", Some(Duration::from_secs(u64::MAX)), second, minute, "http_5xx", Instant::now());
        assert!(hosts.rest("b").is_some_and(|rest| rest.length == MAX_REST));

        // A burst of answers counts once; one after each wait, each time.
        hosts.answered("c");
        let begun = Instant::now();
        (0..100).for_each(|_| hosts.asked_for("c", Some(second), second, minute, "http_429", begun));
        assert_eq!(hosts.rest("c"), None);
        (1..PATIENCE).for_each(|n| hosts.asked_for("c", Some(second), second, minute, "http_429", begun + n * minute));
        assert!(hosts.rest("c").is_some());
        (0..PATIENCE).for_each(|n| {
            hosts.asked_for("d", Some(Duration::from_millis(1)), second, minute, "http_429", begun + (n + 1) * minute);
            hosts.answered("d");
        });
        assert_eq!(hosts.rest("d"), None);

        // Without a time, or with none to wait, the host is given one that grows.
        for (name, said) in [("e", None), ("f", Some(Duration::ZERO))] {
            let begun = Instant::now();
            (0..3).for_each(|n| hosts.asked_for(name, said, Duration::from_millis(40), minute, "http_429", begun + (n + 1) * minute));
            assert_eq!(hosts.rest(name), None);
            hosts.enter(name, false).await;
            assert!(begun.elapsed() >= Duration::from_millis(160), "{:?}", begun.elapsed());
            (3..PATIENCE).for_each(|n| hosts.asked_for(name, said, second, minute, "http_429", begun + (n + 1) * minute));
            assert!(hosts.rest(name).is_some());
        }
    }

    #[tokio::test]
    async fn pauses_and_delays_are_kept() {
        let hosts = Hosts::new(0, 0.0);
        let begun = Instant::now();
        hosts.hold("a", Duration::from_millis(70));
        hosts.enter("a", false).await;
        assert!(begun.elapsed() >= Duration::from_millis(70));
        hosts.set_delay("a", Duration::from_millis(30));
        hosts.enter("a", false).await;
        hosts.enter("a", false).await;
        hosts.enter("a", false).await;
        assert!(begun.elapsed() >= Duration::from_millis(130), "{:?}", begun.elapsed());
    }
}
