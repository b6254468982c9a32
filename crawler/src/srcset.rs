//! `srcset`: of the sizes in which a page offers an image, the one worth fetching.

/// Candidates read of one attribute.
const MAX_CANDIDATES: usize = 64;

/// An image in one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate<'a> {
    /// Its URL as written.
    pub(crate) url: &'a str,
    size: f64,
    /// Whether the size is a width in pixels; otherwise it is a density.
    wide: bool,
}

impl Candidate<'_> {
    /// Whether it is worth more than `held`: the narrowest of those at least `enough` pixels wide, else the widest; without widths, the one
    /// of highest density.
    pub(crate) fn is_better(&self, held: &Self, enough: u32) -> bool {
        let enough = f64::from(enough);
        match (self.wide, held.wide) {
            (true, true) if held.size >= enough => self.size >= enough && self.size < held.size,
            (true, false) => true,
            (false, true) => false,
            _ => self.size > held.size,
        }
    }
}

/// The best candidate of an attribute; `None` when it holds none.
pub(crate) fn best(srcset: &str, enough: u32) -> Option<Candidate<'_>> {
    candidates(srcset).take(MAX_CANDIDATES).flatten().reduce(|held, other| if other.is_better(&held, enough) { other } else { held })
}

/// Splits into candidates, `None` for each that browsers drop for its descriptors. URLs may hold commas, but end at a blank.
fn candidates(srcset: &str) -> impl Iterator<Item = Option<Candidate<'_>>> {
    let mut rest = srcset;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (url, after) = rest.split_at(end);
        let plain = url.trim_end_matches(',');
        let mut descriptor = "";
        rest = after;
        if plain.len() == url.len() {
            let end = after.find(',').unwrap_or(after.len());
            descriptor = after[..end].trim();
            rest = &after[end..];
        }
        Some(described(plain, descriptor))
    })
}

/// A candidate by its descriptors (WHATWG HTML, 4.8.4.3.4): a width in pixels, which may have a height with it, or a density, or none.
fn described<'a>(url: &'a str, descriptors: &str) -> Option<Candidate<'a>> {
    let (mut width, mut density) = (None, None);
    for word in descriptors.split_ascii_whitespace() {
        let (number, unit) = word.split_at(word.len().checked_sub(1).filter(|&at| word.is_char_boundary(at))?);
        let pixels = || number.parse::<u32>().ok().filter(|&pixels| pixels > 0).map(f64::from);
        match unit {
            "w" => width = Some(pixels()?),
            "h" => drop(pixels()?),
            "x" => density = Some(number.parse::<f64>().ok().filter(|density| density.is_finite() && *density >= 0.0)?),
            _ => return None,
        }
    }
    match (width, density) {
        (Some(size), None) => Some(Candidate { url, size, wide: true }),
        (None, density) => Some(Candidate { url, size: density.unwrap_or(1.0), wide: false }),
        (Some(_), Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wide_enough_but_not_wider() {
        let url = |srcset, enough| super::best(srcset, enough).map(|candidate| candidate.url);
        let best = |srcset| url(srcset, 1024);
        assert_eq!(url("a.jpg 320w, b.jpg 1200w, c.jpg 4000w", 2000), Some("c.jpg"));
        assert_eq!(best("a.jpg 320w, b.jpg 1200w, c.jpg 4000w"), Some("b.jpg"));
        assert_eq!(best("c.jpg 4000w,b.jpg 1200w"), Some("b.jpg"));
        assert_eq!(best("a.jpg 320w,\n b.jpg 640w"), Some("b.jpg"));
        assert_eq!(best("a.jpg, b.jpg 2x, c.jpg 1.5x"), Some("b.jpg"));
        assert_eq!(best("/i?w=1,h=2 2x, b 1x"), Some("/i?w=1,h=2"));
        assert_eq!(best("data:image/png;base64,AAAA 1x, b.jpg 2x"), Some("b.jpg"));
        assert_eq!(best(" , "), None);
        assert_eq!(best("a.jpg 0w"), None);
        assert_eq!(best("/a b.png 1x, c.png"), Some("c.png"));
        assert_eq!(best("a.png 800w 600h, b.png 2x 3w, c.png 1q, d.png 12\u{fc}"), Some("a.png"));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[ ,a-c0-9wx.]{0,60}") {
            if let Some(found) = best(&text, 512) {
                prop_assert!(!found.url.is_empty() && text.contains(found.url));
            }
        }
    }
}
