//! What lies under a path: status, headers and bytes, and how the server misbehaves when it is asked for.

use std::sync::Arc;
use std::time::Duration;

/// Stands in texts for the port, which only the server knows: it writes its own instead.
pub(crate) const PORT: &str = ".localhost:1/";
/// The start of a URL of the host that no crawl may follow to.
pub(crate) const ELSEWHERE: &str = "http://elsewhere.localhost:1";

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
    /// The body comes in eight parts with a pause before each.
    Trickle {
        /// The pause.
        pause: Duration,
    },
    /// The first requests fail.
    Heals {
        /// Requests that fail.
        failures: u64,
        /// The status that they get.
        status: u16,
    },
    /// Asks to be asked again later, and notes who does not wait.
    Busy {
        /// Seconds to wait from the first request on.
        seconds: u64,
        /// Whether they are said as a date.
        as_date: bool,
    },
    /// The body comes in chunks, without a length.
    Chunked,
    /// The header says this length whatever the body has; then the connection ends.
    Length {
        /// The length said.
        said: usize,
    },
}

/// How a body is compressed on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Coding {
    #[default]
    Plain,
    Gzip,
    Brotli,
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub status: u16,
    pub content_type: &'static str,
    /// Headers beside type, length and coding.
    pub headers: Vec<(&'static str, String)>,
    pub body: Arc<[u8]>,
    pub coding: Coding,
    pub behaviour: Behaviour,
}

impl Resource {
    pub fn new(content_type: &'static str, body: impl Into<Arc<[u8]>>) -> Self {
        let (coding, behaviour) = (Coding::Plain, Behaviour::Proper);
        Resource { status: 200, content_type, headers: Vec::new(), body: body.into(), coding, behaviour }
    }

    /// A page in UTF-8 that says so.
    pub fn html(text: &str) -> Self {
        Resource::new("text/html; charset=utf-8", text.as_bytes())
    }

    /// An error with a few words.
    pub fn error(status: u16) -> Self {
        Resource { status, ..Resource::html("<!doctype html><title>Not here</title><p>Nothing lies here.") }
    }

    /// The answer to a path that does not exist.
    pub fn missing() -> Self {
        Resource::error(404)
    }

    /// A redirect.
    pub fn redirect(status: u16, to: &str) -> Self {
        Resource { status, headers: vec![("Location", to.to_string())], ..Resource::html("") }
    }

    /// A picture file, by its suffix.
    pub fn picture(suffix: &str, bytes: Vec<u8>) -> Self {
        let kind = match suffix {
            "png" => "image/png",
            "webp" => "image/webp",
            "gif" => "image/gif",
            _ => "image/jpeg",
        };
        Resource::new(kind, bytes)
    }

    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub fn behaving(self, behaviour: Behaviour) -> Self {
        Resource { behaviour, ..self }
    }
}
