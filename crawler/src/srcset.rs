//! `srcset`: of the sizes in which a page offers an image, the one worth fetching.

/// Candidates read of one attribute.
const MAX_CANDIDATES: usize = 64;

/// The best candidate's URL as written: the narrowest of those at least `enough` pixels wide, else the widest; without widths, the
/// one of highest density. `None` when the attribute holds no URL.
pub(crate) fn best(srcset: &str, enough: u32) -> Option<&str> {
    let enough = f64::from(enough);
    let mut best: Option<(&str, f64, bool)> = None;
    for (url, size, wide) in candidates(srcset).take(MAX_CANDIDATES) {
        let better = best.is_none_or(|(_, held, held_wide)| match (wide, held_wide) {
            (true, true) if held >= enough => size >= enough && size < held,
            (true, false) => true,
            (false, true) => false,
            _ => size > held,
        });
        if better {
            best = Some((url, size, wide));
        }
    }
    best.map(|(url, ..)| url)
}

/// Splits into (URL, width or density, whether it is a width). URLs may hold commas, but end at a blank.
fn candidates(srcset: &str) -> impl Iterator<Item = (&str, f64, bool)> {
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

fn described<'a>(url: &'a str, descriptor: &str) -> (&'a str, f64, bool) {
    let size = |text: Option<&str>| text.and_then(|text| text.parse::<f64>().ok()).filter(|size| size.is_finite() && *size > 0.0);
    // With a height too (`800w 600h`), the first word counts.
    let word = descriptor.split_ascii_whitespace().next().unwrap_or_default();
    match size(word.strip_suffix('w')) {
        Some(width) => (url, width, true),
        None => (url, size(word.strip_suffix('x')).unwrap_or(1.0), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wide_enough_but_not_wider() {
        let best = |srcset| super::best(srcset, 1024);
        assert_eq!(super::best("a.jpg 320w, b.jpg 1200w, c.jpg 4000w", 2000), Some("c.jpg"));
        assert_eq!(best("a.jpg 320w, b.jpg 1200w, c.jpg 4000w"), Some("b.jpg"));
        assert_eq!(best("c.jpg 4000w,b.jpg 1200w"), Some("b.jpg"));
        assert_eq!(best("a.jpg 320w,\n b.jpg 640w"), Some("b.jpg"));
        assert_eq!(best("a.jpg, b.jpg 2x, c.jpg 1.5x"), Some("b.jpg"));
        assert_eq!(best("/i?w=1,h=2 2x, b 1x"), Some("/i?w=1,h=2"));
        assert_eq!(best("data:image/png;base64,AAAA 1x, b.jpg 2x"), Some("b.jpg"));
        assert_eq!(best(" , "), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[ ,a-c0-9wx.]{0,60}") {
            if let Some(url) = best(&text, 512) {
                prop_assert!(!url.is_empty() && text.contains(url));
            }
        }
    }
}
