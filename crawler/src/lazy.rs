//! Where the bytes of an `img` are: its sets of sizes, the attributes in which scripts keep its address, `src`, and what only stands
//! in for a picture until that is loaded.

use crate::page::Place;
use crate::{dataurl, srcset, urls};
use scraper::node::Element;
use std::borrow::Cow;
use url::Url;

/// Bytes of an image written into the page.
const MAX_DATA_BYTES: usize = 1 << 20;
/// Widths read of one attribute.
const MAX_WIDTHS: usize = 64;
/// Attributes in which pages keep an image's address until it is scrolled to, the best first: those of lazysizes and its like, of
/// Cloudflare, NitroPack, Ezoic, Optimole, WP Fastest Cache, PageSpeed and LiteSpeed, then Jetpack's for its galleries.
const LAZY: [&str; 19] = [
    "data-src",
    "data-original",
    "data-lazy-src",
    "data-lazy",
    "data-lazyload",
    "data-echo",
    "data-original-src",
    "data-cfsrc",
    "nitro-lazy-src",
    "data-ezsrc",
    "data-opt-src",
    "data-wpfc-original-src",
    "data-pagespeed-lazy-src",
    "data-litespeed-src",
    "data-ll-src",
    "data-n-src",
    "data-source-standard",
    "data-large-file",
    "data-orig-file",
];
/// The same for sets of sizes.
pub(crate) const LAZY_SETS: [&str; 7] =
    ["data-srcset", "data-lazy-srcset", "nitro-lazy-srcset", "data-ezsrcset", "data-opt-srcset", "data-wpfc-original-srcset", "data-bgset"];
/// What the names of files hold that stand in for others.
const STAND_INS: [&str; 6] = ["placeholder", "spacer", "blank.", "transparent.", "loading.", "1x1."];

/// The attributes of an `img` that matter, found in one look at all of them.
#[derive(Default)]
pub(crate) struct Attributes<'a> {
    src: &'a str,
    srcset: Option<srcset::Candidate<'a>>,
    /// The best attribute of [`LAZY_SETS`], with its rank.
    lazy_set: Option<(usize, srcset::Candidate<'a>)>,
    /// The best attribute of [`LAZY`], with its rank.
    lazy: Option<(usize, Cow<'a, str>)>,
    /// What is said of the image: alt, title, aria-label.
    pub(crate) texts: [(&'static str, &'a str); 3],
}

impl<'a> Attributes<'a> {
    /// Those of an element. Of an image in several sizes the one that is `enough` pixels wide is taken.
    pub(crate) fn of(element: &'a Element, enough: u32) -> Self {
        let mut found = Attributes { texts: [("alt", ""), ("title", ""), ("aria-label", "")], ..Attributes::default() };
        for (name, value) in element.attrs() {
            match name {
                "src" => found.src = value,
                "srcset" => found.srcset = srcset::best(value, enough),
                "alt" => found.texts[0].1 = value,
                "title" => found.texts[1].1 = value,
                "aria-label" => found.texts[2].1 = value,
                _ if name.starts_with("data-") || name.starts_with("nitro-") => found.read_lazy(element, name, value, enough),
                _ => {}
            }
        }
        found
    }

    fn read_lazy(&mut self, element: &Element, name: &str, value: &'a str, enough: u32) {
        if let Some(rank) = LAZY.iter().position(|known| *known == name)
            && self.lazy.as_ref().is_none_or(|(held, _)| rank < *held)
            && let Some(address) = address(element, value, enough)
        {
            self.lazy = Some((rank, address));
        } else if let Some(rank) = LAZY_SETS.iter().position(|known| *known == name)
            && self.lazy_set.is_none_or(|(held, _)| rank < held)
            && let Some(best) = srcset::best(value, enough)
        {
            self.lazy_set = Some((rank, best));
        }
    }

    /// The best address: sets before single addresses, lazy attributes before `src`, which is then a placeholder. `picture` is what the
    /// sources of a `picture` around it offer. None for what only stands in for a picture.
    pub(crate) fn place(&self, base: &Url, picture: Option<&str>) -> Option<Place> {
        let sets = [self.lazy_set.map(|(_, best)| best.url), self.srcset.map(|best| best.url), picture];
        let singles = [self.lazy.as_ref().map(|(_, address)| address.as_ref()), Some(self.src)];
        let mut candidates = sets.into_iter().chain(singles).flatten().map(str::trim).filter(|text| is_picture(text));
        candidates.clone().find_map(|text| urls::web_url(Some(base), text).map(Place::Url)).or_else(|| {
            let data = candidates.find(|text| text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")))?;
            dataurl::decode(data, MAX_DATA_BYTES).filter(|bytes| !dataurl::is_blank(bytes)).map(Place::Data)
        })
    }
}

/// Whether a text may be the address of a picture: not the page itself, nor what a script should have filled in.
fn is_picture(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('#') && text != "?" && !text.contains("{{")
}

/// The address in a lazy attribute: scripts also keep flags (`true`, `0`) and JSON there, and leave room for a width.
fn address<'a>(element: &Element, text: &'a str, enough: u32) -> Option<Cow<'a, str>> {
    if !text.contains(['.', '/', ':']) || text.trim_start().starts_with(['{', '[', '<']) {
        return None;
    }
    if !text.contains('{') && !text.contains("%7B") && !text.contains("%7b") {
        return Some(Cow::Borrowed(text));
    }
    let width = width(element.attr("data-widths").unwrap_or_default(), enough)?.to_string();
    let filled = text.replace("%7B", "{").replace("%7b", "{").replace("%7D", "}").replace("%7d", "}").replace("{width}", &width);
    (!filled.contains('{')).then_some(Cow::Owned(filled))
}

/// The narrowest of the widths that is enough, else the widest.
fn width(list: &str, enough: u32) -> Option<u32> {
    let widths = || list.split(|c: char| !c.is_ascii_digit()).filter_map(|text| text.parse::<u32>().ok()).take(MAX_WIDTHS);
    widths().filter(|width| *width >= enough).min().or_else(|| widths().max())
}

/// Whether an address has the name of a file that stands in for another one.
pub(crate) fn is_stand_in(url: &Url) -> bool {
    let name = url.path().rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    STAND_INS.iter().any(|known| name.contains(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_that_is_enough_is_taken() {
        assert_eq!(width("[180, 360, 540, 720]", 500), Some(540));
        assert_eq!(width("360,180", 500), Some(360));
        assert_eq!(width("[]", 500), None);
        assert_eq!(width("99999999999", 500), None);
    }

    #[test]
    fn names_of_stand_ins() {
        let is = |text: &str| is_stand_in(&Url::parse(text).expect("a URL"));
        assert!(is("http://e.org/bbcx/grey-Placeholder.png") && is("http://e.org/blank.gif?v=1"));
        assert!(!is("http://e.org/placeholder/mill.jpg") && !is("http://e.org/blankets.jpg"));
    }
}
