//! One form for what sources find: an image with its captions becomes pairs that say where they come from.

use crate::page::Found;
use shards::Candidate;

/// What all pairs of a page share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    /// The page.
    pub(crate) page_url: &'a str,
    /// Where the page was found, as in [`Candidate`]'s `source`.
    pub(crate) source: &'a str,
    /// When, in milliseconds since 1970 UTC.
    pub(crate) found_ms: i64,
    /// The page's licence, or what hints at it.
    pub(crate) licence: &'a str,
}

/// The pairs of an image: one for each of its captions.
pub(crate) fn candidates(found: Found, image_url: &str, origin: Origin) -> impl Iterator<Item = Candidate> {
    let Found { captions, nearby, licence, author, .. } = found;
    let licence = if licence.is_empty() { origin.licence.to_string() } else { licence };
    captions.into_iter().map(move |(field, caption)| Candidate {
        source: origin.source.to_string(),
        found_ms: origin.found_ms,
        nearby: nearby.clone(),
        licence: licence.clone(),
        author: author.clone(),
        ..Candidate::new(image_url.to_string(), origin.page_url.to_string(), caption, field)
    })
}
