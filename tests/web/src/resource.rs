//! What lies under a path: status, headers and bytes, and how the server misbehaves when it is asked for.

use std::sync::Arc;
use std::time::Duration;

/// Stands in pages for the second host, which no crawl may follow; the server writes `localhost` and its port instead.
pub(crate) const ELSEWHERE: &str = "http://elsewhere.test";

/// How the server answers a request beyond what the resource says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should.
    #[default]
    Proper,
    /// The connection ends after this many bytes of the body.
    Cut {
        /// Bytes of the body that are sent.
        after: usize,
    },
    /// The head is sent, then nothing for this long, then the body.
    Stall {
        /// The silence.
        pause: Duration,
    },
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Arc<[u8]>,
    pub behaviour: Behaviour,
}

impl Resource {
    pub fn new(content_type: &'static str, body: impl Into<Arc<[u8]>>) -> Self {
        Resource { status: 200, content_type, body: body.into(), behaviour: Behaviour::Proper }
    }

    /// The answer to a path that does not exist.
    pub fn missing() -> Self {
        let body = b"<!doctype html><title>Not found</title><p>Nothing lies here.".to_vec();
        Resource { status: 404, ..Resource::new("text/html; charset=utf-8", body) }
    }

    /// A picture file, by its suffix.
    pub fn picture(suffix: &str, bytes: Vec<u8>) -> Self {
        Resource::new(if suffix == "png" { "image/png" } else { "image/jpeg" }, bytes)
    }
}
