//! Whether a service still answers. One that fails again and again is left alone for the rest of the run, and its requests wait.

use rustc_hash::FxHashMap;
use std::sync::{Mutex, MutexGuard};

/// Failures in a row after which a service is left alone in this run; and failures of one request after which that request is decided, if
/// the service answers others.
const FAILURES: u32 = 5;
/// Refusals in a row after which a service is left alone: more, because a few queries that it does not like say nothing about it.
const REFUSALS: u32 = 20;
/// Failures of one request after which it is decided, whatever becomes of others.
const PATIENCE: u32 = 3 * FAILURES;

/// What becomes of a request that failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It waits and is made again; so many failures came in a row.
    Again(u32),
    /// The service answers others: the fault lies with this request.
    Decided,
}

/// The answers of a service in this run.
#[derive(Default)]
pub(crate) struct Health {
    // Held for a look-up, never across an await.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Whether anything was answered.
    answers: bool,
    /// Failures since the last answer, whatever failed.
    in_a_row: u32,
    /// Those that say something about the service.
    strikes: u32,
    refusals: u32,
    /// Failures of requests in this and earlier runs, those that were answered later left out.
    falls: FxHashMap<String, u32>,
    /// How it failed, once that was too often.
    ended: Option<String>,
}

impl Health {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A request was answered.
    pub(crate) fn answered(&self, request: &str) {
        let mut known = self.known();
        known.answers = true;
        (known.in_a_row, known.strikes, known.refusals) = (0, 0, 0);
        known.falls.remove(request);
    }

    /// A query was refused: it is decided, but a service that refuses all is no use.
    pub(crate) fn refused(&self, why: &str) {
        let mut known = self.known();
        known.refusals += 1;
        if known.refusals >= REFUSALS {
            known.ended = Some(format!("refused {REFUSALS} queries in a row, last with {why}"));
        }
    }

    /// A request that had failed `before` times in earlier runs failed for a reason that may pass, one `of_the_service` or of this request.
    pub(crate) fn failed(&self, request: &str, before: u32, of_the_service: bool, why: &str) -> Verdict {
        let mut known = self.known();
        known.in_a_row += 1;
        let falls = known.falls.get(request).copied().unwrap_or(0).max(before) + 1;
        known.falls.insert(request.to_string(), falls);
        // One that failed before, among answers to others, fails for a reason of its own. Such come last, one after the other.
        if of_the_service || falls == 1 || !known.answers {
            known.strikes += 1;
        }
        if known.strikes >= FAILURES {
            known.ended = Some(format!("failed {FAILURES} times in a row, last with {why}"));
        }
        if falls >= PATIENCE || falls >= FAILURES && known.answers && known.ended.is_none() {
            known.falls.remove(request);
            return Verdict::Decided;
        }
        Verdict::Again(known.in_a_row)
    }

    /// How often a request that waits failed in this run, and before that if it failed in this one.
    pub(crate) fn falls(&self, request: &str) -> u32 {
        self.known().falls.get(request).copied().unwrap_or(0)
    }

    /// How the service failed, if it is left alone now.
    pub(crate) fn ended(&self) -> Option<String> {
        self.known().ended.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_never_answers_is_left_alone_and_its_requests_wait() {
        let health = Health::default();
        for n in 1..=FAILURES {
            assert_eq!(health.ended(), None);
            assert_eq!(health.failed("one", 0, false, "timeout"), Verdict::Again(n));
        }
        assert_eq!(health.ended().as_deref(), Some("failed 5 times in a row, last with timeout"));
        assert_eq!(health.falls("one"), FAILURES);
    }

    #[test]
    fn answers_in_between_keep_it_and_decide_what_fails_always() {
        let health = Health::default();
        for _ in 1..FAILURES {
            assert_eq!(health.failed("bad", 0, false, "http_5xx"), Verdict::Again(1));
            health.answered("good");
        }
        assert_eq!(health.failed("bad", 0, false, "http_5xx"), Verdict::Decided);
        assert_eq!((health.ended(), health.falls("bad")), (None, 0));
    }

    #[test]
    fn requests_that_always_fail_are_decided_when_nothing_else_is_left() {
        let health = Health::default();
        let bad = ["a", "b", "c", "d", "e", "f"];
        for request in &bad[..3] {
            health.failed(request, 0, false, "unreadable");
        }
        health.answered("good");
        for request in &bad[3..] {
            health.failed(request, 1, false, "unreadable");
        }
        for request in bad {
            let times = (1..=FAILURES).find(|_| health.failed(request, 0, false, "unreadable") == Verdict::Decided);
            assert!(times.is_some_and(|times| times <= 4), "{request}: {times:?}");
        }
        assert!(health.ended().is_none());
        // A later run in which they alone are left comes to an end some time.
        let later = Health::default();
        assert_eq!(later.failed("a", PATIENCE - 2, false, "unreadable"), Verdict::Again(1));
        assert_eq!(later.failed("a", PATIENCE - 2, false, "unreadable"), Verdict::Decided);
    }

    #[test]
    fn a_service_that_falls_ill_is_left_alone_though_only_requests_that_failed_are_left() {
        let health = Health::default();
        health.answered("good");
        (0..FAILURES).for_each(|n| {
            health.failed(["a", "b", "c"][n as usize % 3], 1, true, "http_429");
        });
        assert!(health.ended().is_some());
    }

    #[test]
    fn a_service_that_refuses_everything_is_left_alone() {
        let health = Health::default();
        (1..REFUSALS).for_each(|_| health.refused("403"));
        assert_eq!(health.ended(), None);
        health.refused("403");
        assert_eq!(health.ended().as_deref(), Some("refused 20 queries in a row, last with 403"));
    }
}
