//! Why something was not fetched.

use crate::guard::Refused;
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
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure { refusal, retry: None }
    }
}
