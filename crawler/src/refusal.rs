//! Why something was not fetched.

use crate::faults::{cause_of, words_of};
use crate::guard::{Refused, Unknown};
use crate::origins::Found;
use reqwest::StatusCode;
use shards::outcome;
use std::time::Duration;

/// Why something was not fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It ends in this outcome (a word of [`shards::outcome`], or [`NOT_HTML`]), for this reason in words.
    Because(&'static str, String),
    /// The job closed before it was this one's turn: not decided.
    Closed,
}

/// The outcome of a page that turns out to be something else.
pub(crate) const NOT_HTML: &str = "not_html";

impl Refusal {
    /// The word in a candidate's `outcome`, and the reason in words.
    pub(crate) fn decision(self) -> (&'static str, String) {
        match self {
            Refusal::Because(outcome, why) => (outcome, why),
            Refusal::Closed => ("closed", String::new()),
        }
    }

    /// Whether it ends in `outcome`.
    pub(crate) fn is(&self, outcome: &str) -> bool {
        matches!(self, Refusal::Because(word, _) if *word == outcome)
    }

    /// That of a body of more than `max` bytes.
    pub(crate) fn too_large(max: usize) -> Self {
        Refusal::Because(outcome::TOO_BIG, format!("more than {max} bytes"))
    }

    /// That of a response which is no success.
    pub(crate) fn status(status: StatusCode) -> Self {
        let outcome = match status.as_u16() {
            429 => outcome::HTTP_429,
            500.. => outcome::HTTP_5XX,
            // Among the rest are redirects without a place to go to: nothing is there for us either.
            _ => outcome::HTTP_4XX,
        };
        Refusal::Because(outcome, status.to_string())
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Refusal::Because(outcome::UNSAFE_ADDRESS, refused.to_string())
    }
}

/// Why a request failed, and when it may be made again.
pub(crate) struct Failure {
    pub(crate) refusal: Refusal,
    /// `None`: never. `Some(None)`: after our own wait. `Some(Some(wait))`: after the wait that the server asks for.
    pub(crate) retry: Option<Option<Duration>>,
    /// What it says of the host.
    pub(crate) sign: Sign,
}

/// What a failure says of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It answers.
    Answers,
    /// It answers that it has too much to do (429, 503), or asks for a wait.
    Busy,
    /// It does not answer in time, or not at all.
    Silent,
    /// It closed a connection without a word: an idle one, perhaps, just when the request was on its way (RFC 9112, 9.3.1).
    Closed,
    /// Nothing: the trouble is our own.
    Nothing,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure { refusal, retry: None, sign: Sign::Answers }
    }
}

/// Outcomes that say that a host does not answer, rather than what it answers.
const UNANSWERED: [&str; 4] = [outcome::DNS, outcome::CONNECT, outcome::TLS, outcome::TIMEOUT];

/// A client error as a refusal; anything but an unsafe address may be tried again.
pub(crate) fn network(error: &reqwest::Error) -> Failure {
    if let Some(refused) = cause_of::<Refused>(error) {
        return Refusal::from(refused.clone()).into();
    }
    let outcome = if cause_of::<Unknown>(error).is_some() {
        outcome::DNS
    } else if cause_of::<rustls::Error>(error).is_some() {
        outcome::TLS
    } else if error.is_timeout() {
        outcome::TIMEOUT
    } else {
        outcome::CONNECT
    };
    let is_closed = || cause_of::<hyper::Error>(error).is_some_and(hyper::Error::is_incomplete_message);
    let sign = if too_many_files(error) {
        Sign::Nothing
    } else if outcome == outcome::CONNECT && is_closed() {
        Sign::Closed
    } else {
        Sign::Silent
    };
    Failure { refusal: Refusal::Because(outcome, words_of(error)), retry: Some(None), sign }
}

/// Whether this process, or this machine, has no room for another connection: EMFILE, ENFILE.
fn too_many_files(error: &reqwest::Error) -> bool {
    cause_of::<std::io::Error>(error).is_some_and(|error| matches!(error.raw_os_error(), Some(23 | 24)))
}

/// What is said of an origin whose `robots.txt` could not be had: that it does not answer or may not be connected to, if that is so; otherwise
/// it is the file that is missing.
pub(crate) fn unreachable(refusal: Refusal) -> Found {
    let (outcome, why) = refusal.decision();
    let own = UNANSWERED.contains(&outcome) || outcome == outcome::UNSAFE_ADDRESS;
    Found::Unreachable(if own { outcome } else { outcome::ROBOTS }, format!("robots.txt could not be had: {why}"))
}
