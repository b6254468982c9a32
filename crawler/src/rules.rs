//! Which pages of the live web belong to a crawl: patterns of hosts and paths.

use crate::fetch::host_key;
use std::str::FromStr;
use url::Url;

/// A pattern such as `*.example.org/gallery/*`: host with port, path and query, in which `*` stands for anything. One without a
/// slash is a whole host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl FromStr for Pattern {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: &str| crate::Error::Usage(format!("pattern {text:?}: {why}"));
        if text.contains("://") {
            return Err(bad("leave out the scheme, as in example.org/gallery/*"));
        }
        let (host, path) = text.split_once('/').unwrap_or((text, "*"));
        if host.is_empty() || text.chars().any(char::is_whitespace) {
            return Err(bad("expected HOST or HOST/PATH, each with * for anything"));
        }
        Ok(Pattern(format!("{}/{path}", host.to_ascii_lowercase())))
    }
}

impl Pattern {
    fn matches(&self, url: &Url) -> bool {
        let query = url.query().map_or(String::new(), |query| format!("?{query}"));
        glob(self.0.as_bytes(), format!("{}{}{query}", host_key(url), url.path()).as_bytes())
    }
}

/// Whether the whole text matches; goes back to the last star only, so that no pattern is slow.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, from)) = star {
            (p, t) = (at + 1, from + 1);
            star = Some((at, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// What the user says of pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Pages that belong to the crawl, of whatever host; when empty, those of the seed's site.
    pub include: Vec<Pattern>,
    /// Pages that do not, whatever else is said.
    pub exclude: Vec<Pattern>,
}

impl Rules {
    /// Whether a page belongs to the crawl; `own` says whether it is of the seed's site.
    pub(crate) fn allow(&self, url: &Url, own: bool) -> bool {
        (if self.include.is_empty() { own } else { any(&self.include, url) }) && !self.excludes(url)
    }

    /// Whether a page is named as one that does not belong.
    pub(crate) fn excludes(&self, url: &Url) -> bool {
        any(&self.exclude, url)
    }
}

fn any(patterns: &[Pattern], url: &Url) -> bool {
    patterns.iter().any(|pattern| pattern.matches(url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, url: &str) -> bool {
        pattern.parse::<Pattern>().expect("a pattern").matches(&Url::parse(url).expect("a URL"))
    }

    #[test]
    fn hosts_and_paths_match() {
        assert!(matches("Example.org", "https://example.org/a?b") && !matches("example.org", "https://www.example.org/a"));
        assert!(matches("*.example.org/g/*", "http://i.example.org/g/1") && !matches("*.example.org/g/*", "http://i.example.org/h/1"));
        assert!(matches("*/tag/*", "http://e.org/x/tag/y") && matches("e.org:8080/*.html", "http://e.org:8080/a.html"));
        assert!(!matches("e.org/a", "http://e.org/ab") && matches("e.org/*?page=*", "http://e.org/l?page=2"));
        for bad in ["", "/x", "http://e.org/", "e org"] {
            assert!(bad.parse::<Pattern>().expect_err(bad).is_usage());
        }
    }

    #[test]
    fn exclusion_goes_before_inclusion() {
        let list = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a pattern")).collect::<Vec<Pattern>>();
        let url = |text: &str| Url::parse(text).expect("a URL");
        let plain = Rules { include: Vec::new(), exclude: list(&["*/private/*"]) };
        assert!(plain.allow(&url("http://e.org/a"), true) && !plain.allow(&url("http://e.org/a"), false));
        assert!(!plain.allow(&url("http://e.org/private/a"), true));
        let named = Rules { include: list(&["a.org", "b.org/x/*"]), exclude: list(&["a.org/no*"]) };
        assert!(named.allow(&url("http://a.org/1"), false) && named.allow(&url("http://b.org/x/1"), false));
        assert!(!named.allow(&url("http://a.org/no"), false) && !named.allow(&url("http://e.org/"), true));
    }

    proptest! {
        #[test]
        fn globs_agree_with_plain_search(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            fn plain(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|at| plain(rest, &text[at..])),
                    Some((byte, rest)) => text.first() == Some(byte) && plain(rest, &text[1..]),
                }
            }
            prop_assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), plain(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
