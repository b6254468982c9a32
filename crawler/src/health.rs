//! Whether a service still answers. One that fails again and again is left alone for the rest of the run, and its requests wait.

use rustc_hash::FxHashMap;
use std::sync::{Mutex, MutexGuard};

/// Failures in a row after which a service is left alone in this run; and failures of one request, among answers to others, after which
/// that request is decided.
pub(crate) const FAILURES: u32 = 5;

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
    in_a_row: u32,
    /// Failures of requests, those that were answered later left out.
    failures: FxHashMap<String, u32>,
    /// How the last failure was, once there were too many.
    ended: Option<String>,
}

impl Health {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A request was answered.
    pub(crate) fn answered(&self, request: &str) {
        let mut known = self.known();
        known.in_a_row = 0;
        known.failures.remove(request);
    }

    /// A request was refused: it is decided, but a service that refuses all is no use.
    pub(crate) fn refused(&self, why: &str) {
        self.known().count(why);
    }

    /// A request failed for a reason that may pass.
    pub(crate) fn failed(&self, request: &str, why: &str) -> Verdict {
        let mut known = self.known();
        let in_a_row = known.count(why);
        let failures = known.failures.entry(request.to_string()).or_default();
        *failures += 1;
        if *failures > in_a_row.max(FAILURES - 1) {
            known.failures.remove(request);
            return Verdict::Decided;
        }
        Verdict::Again(in_a_row)
    }

    /// How the service failed last, if it is left alone now.
    pub(crate) fn ended(&self) -> Option<String> {
        self.known().ended.clone()
    }
}

impl Known {
    fn count(&mut self, why: &str) -> u32 {
        self.in_a_row += 1;
        if self.in_a_row >= FAILURES {
            self.ended = Some(why.to_string());
        }
        self.in_a_row
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
            assert_eq!(health.failed("one", "timeout"), Verdict::Again(n));
        }
        assert_eq!(health.ended().as_deref(), Some("timeout"));
    }

    #[test]
    fn answers_in_between_keep_it_and_decide_what_fails_always() {
        let health = Health::default();
        for _ in 1..FAILURES {
            assert_eq!(health.failed("bad", "http_5xx"), Verdict::Again(1));
            health.answered("good");
        }
        assert_eq!(health.failed("bad", "http_5xx"), Verdict::Decided);
        assert_eq!(health.ended(), None);
    }

    #[test]
    fn a_service_that_refuses_everything_is_left_alone() {
        let health = Health::default();
        (0..FAILURES).for_each(|_| health.refused("403"));
        assert_eq!(health.ended().as_deref(), Some("403"));
    }
}
