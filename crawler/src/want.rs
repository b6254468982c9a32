//! What is asked for, and what an answer to that may be.

use crate::{robots, sitemap};

/// What is asked for; each kind has its own caps and conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// An HTML page of at most 4 MiB.
    Page,
    /// An image of at most 32 MiB.
    Image,
    /// A sitemap of at most 50 MiB.
    Sitemap,
    /// A service's answer to a program, of at most 8 MiB: its terms say what is allowed, not `robots.txt`.
    Answer,
    /// `robots.txt`: what exceeds its cap is cut off.
    Robots,
}

impl Want {
    /// Cap on a body, as it comes and unpacked.
    pub(crate) fn max_bytes(self) -> usize {
        match self {
            Want::Page => 4 << 20,
            Want::Image => 32 << 20,
            Want::Sitemap => sitemap::MAX_BYTES,
            Want::Answer => 8 << 20,
            Want::Robots => robots::MAX_BYTES,
        }
    }

    pub(crate) fn accept(self) -> &'static str {
        match self {
            Want::Page => "text/html,application/xhtml+xml;q=0.9",
            Want::Image => "image/jpeg,image/png,image/webp,image/gif,image/*;q=0.5,*/*;q=0.1",
            Want::Sitemap => "application/xml,text/xml,text/plain;q=0.5,*/*;q=0.1",
            Want::Answer => "application/json",
            Want::Robots => "text/plain,*/*;q=0.1",
        }
    }
}
