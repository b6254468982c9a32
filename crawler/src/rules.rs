//! Which pages of the live web belong to a crawl: patterns of hosts and paths.

use crate::fetch::host_key;
use crate::patterns::{self, spelt_glob};
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
        let host: Vec<String> = host.split('.').map(label).collect();
        Ok(Pattern(format!("{}/{}", host.join("."), spelt_glob(path))))
    }
}

/// A part of a host's name as addresses have it.
fn label(text: &str) -> String {
    let text = text.to_lowercase();
    let spelt = || Url::parse(&format!("http://{text}/")).ok()?.host_str().map(str::to_string);
    if text.is_ascii() { text } else { spelt().unwrap_or(text) }
}

impl Pattern {
    fn matches(&self, spelt: &str) -> bool {
        glob(self.0.as_bytes(), spelt.as_bytes())
    }
}

/// An address as patterns have it.
fn spelt(url: &Url) -> String {
    let query = url.query().map_or(String::new(), |query| format!("?{query}"));
    format!("{}{}", host_key(url), patterns::spelt(&format!("{}{query}", url.path())))
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
    if patterns.is_empty() {
        return false;
    }
    let spelt = spelt(url);
    patterns.iter().any(|pattern| pattern.matches(&spelt))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, url: &str) -> bool {
        pattern.parse::<Pattern>().expect("a pattern").matches(&spelt(&Url::parse(url).expect("a URL")))
    }

    #[test]
    fn hosts_and_paths_match() {
        assert!(matches("Example.org", "https://example.org/a?b") && !matches("example.org", "https://www.example.org/a"));
        assert!(matches("*.example.org/g/*", "http://i.example.org/g/1") && !matches("*.example.org/g/*", "http://i.example.org/h/1"));
        assert!(matches("*/tag/*", "http://e.org/x/tag/y") && matches("e.org:8080/*.html", "http://e.org:8080/a.html"));
        assert!(!matches("e.org/a", "http://e.org/ab") && matches("e.org/*?page=*", "http://e.org/l?page=2"));
        for path in ["caf%C3%A9", "caf%c3%a9", "café"] {
            for page in ["http://e.org/caf%C3%A9/1", "http://e.org/caf%c3%a9/1", "http://e.org/café/1", "http://e.org/%63afé/1?x=$"] {
                assert!(matches(&format!("e.org/{path}/*"), page), "{path} {page}");
            }
        }
        assert!(
            matches("*.Bücher.de/a b".replace(' ', "%20").as_str(), "http://www.bücher.de/a b")
                && matches("e.org/$a'*", "http://e.org/$a'b")
        );
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
