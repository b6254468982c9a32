//! `robots.txt` after RFC 9309: which paths of an origin may be fetched.
//!
//! Pure text in, verdicts out; asking for the file is the business of `fetch`, keeping verdicts that of [`Cache`].

use rustc_hash::FxHashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Bytes of a file that are read; the RFC asks for at least this (section 2.5).
pub(crate) const MAX_BYTES: usize = 500 << 10;
/// How long a file is believed (section 2.4).
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// How long a host whose file cannot be had is left alone before asking again.
const UNREACHABLE: Duration = Duration::from_secs(600);
/// Longest crawl delay kept; longer ones are taken as this.
const MAX_DELAY: Duration = Duration::from_secs(30);
/// Sitemaps taken from one file.
const MAX_SITEMAPS: usize = 100;
/// Origins remembered, about 300 bytes each for usual files. When full, all are forgotten and asked for again.
const MAX_ORIGINS: usize = 1 << 16;

/// The rules of one file for one crawler.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rules {
    /// Longest pattern first; of equal ones, those that allow first.
    rules: Vec<Rule>,
    /// Wait between two requests that the file asks for, at most [`MAX_DELAY`].
    pub(crate) delay: Option<Duration>,
    /// Addresses of sitemaps as written; they hold for every crawler.
    pub(crate) sitemaps: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    pattern: String,
    allow: bool,
}

/// The group that a line belongs to, by the user-agent lines before it.
#[derive(Clone, Copy, Default)]
struct Group {
    ours: bool,
    anyone: bool,
}

impl Rules {
    /// Reads a file on behalf of the crawler whose product token is `agent` (lower case).
    pub(crate) fn parse(bytes: &[u8], agent: &str) -> Self {
        let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
        let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
        let (mut ours, mut anyone) = (Rules::default(), Rules::default());
        let mut sitemaps = Vec::new();
        let (mut group, mut named, mut in_rules) = (Group::default(), false, false);
        for line in text.split(['\n', '\r']) {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "user-agent" => {
                    if std::mem::take(&mut in_rules) {
                        group = Group::default();
                    }
                    group.anyone |= value.starts_with('*');
                    group.ours |= product(value).eq_ignore_ascii_case(agent);
                    named |= group.ours;
                }
                key @ ("allow" | "disallow") => {
                    in_rules = true;
                    let rule = Rule { pattern: normal(value), allow: key == "allow" };
                    if !value.is_empty() {
                        group.give(&mut ours, &mut anyone, |rules| rules.rules.push(rule.clone()));
                    }
                }
                "crawl-delay" => {
                    let delay = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                    group.give(&mut ours, &mut anyone, |rules| rules.delay = delay.map(|delay| delay.min(MAX_DELAY)).or(rules.delay));
                }
                "sitemap" if sitemaps.len() < MAX_SITEMAPS => sitemaps.push(value.to_string()),
                _ => {}
            }
        }
        let mut rules = if named { ours } else { anyone };
        rules.sitemaps = sitemaps;
        rules.rules.sort_by(|a, b| b.pattern.len().cmp(&a.pattern.len()).then(b.allow.cmp(&a.allow)));
        rules
    }

    /// Whether the URL's path and query may be fetched.
    pub(crate) fn allow(&self, url: &Url) -> bool {
        if url.path() == "/robots.txt" {
            return true;
        }
        let path = normal(&url[url::Position::BeforePath..url::Position::AfterQuery]);
        self.rules.iter().find(|rule| matches(&rule.pattern, &path)).is_none_or(|rule| rule.allow)
    }
}

impl Group {
    fn give(self, ours: &mut Rules, anyone: &mut Rules, change: impl Fn(&mut Rules)) {
        if self.ours {
            change(ours);
        }
        if self.anyone {
            change(anyone);
        }
    }
}

/// The product token at the start of a user-agent value: letters, `_` and `-` (section 2.2.1).
fn product(value: &str) -> &str {
    let end = value.find(|c: char| !(c.is_ascii_alphabetic() || c == '_' || c == '-')).unwrap_or(value.len());
    &value[..end]
}

/// One spelling for paths and patterns: bytes outside ASCII escaped, escapes in upper case, escaped unreserved characters plain.
fn normal(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = String::with_capacity(path.len());
    let mut i = 0;
    while i < bytes.len() {
        let escaped = (bytes[i] == b'%').then(|| path.get(i + 1..i + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok())).flatten();
        match (escaped, bytes[i]) {
            (Some(byte), _) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(byte as char),
            (Some(byte), _) => out.push_str(&format!("%{byte:02X}")),
            (None, byte) if byte.is_ascii_graphic() => out.push(byte as char),
            (None, byte) => out.push_str(&format!("%{byte:02X}")),
        }
        i += if escaped.is_some() { 3 } else { 1 };
    }
    out
}

/// Whether `pattern` (with `*`, and `$` at its end) matches `path` from its start. Linear: stretches between stars are
/// found one after the other, each as early as possible.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, to_end) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut stretches = pattern.split('*');
    let Some(mut rest) = stretches.next().and_then(|first| path.strip_prefix(first)) else { return false };
    let mut last = None;
    for stretch in stretches {
        if let Some(before) = last.replace(stretch) {
            match rest.find(before) {
                Some(at) => rest = &rest[at + before.len()..],
                None => return false,
            }
        }
    }
    match last {
        None => !to_end || rest.is_empty(),
        Some(last) if to_end => rest.ends_with(last),
        Some(last) => rest.contains(last),
    }
}

/// What asking for an origin's file gave.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// A file, or none that binds us.
    Rules(Arc<Rules>),
    /// The host did not answer or failed: nothing may be fetched (section 2.3.1.4).
    Unreachable,
}

/// What is known of each origin (scheme, host and port).
pub(crate) struct Cache {
    /// How long rules are believed.
    fresh: Duration,
    /// How long a host without an answer is left alone.
    unreachable: Duration,
    // The outer lock is held for a look-up; the inner one, of one origin, while its file is asked for, so that it is asked
    // for once however many wait.
    origins: Mutex<FxHashMap<String, Arc<Entry>>>,
}

type Entry = tokio::sync::Mutex<Option<(Instant, Found)>>;

impl Default for Cache {
    fn default() -> Self {
        Cache { fresh: FRESH, unreachable: UNREACHABLE, origins: Mutex::default() }
    }
}

impl Cache {
    /// The origin's rules, asked for with `ask` when they are unknown or too old.
    pub(crate) async fn rules<F: Future<Output = Found>>(&self, url: &Url, ask: impl FnOnce() -> F) -> Found {
        let entry = {
            let mut origins = self.origins.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if origins.len() >= MAX_ORIGINS {
                origins.clear();
            }
            origins.entry(url.origin().ascii_serialization()).or_default().clone()
        };
        let mut entry = entry.lock().await;
        if let Some((until, found)) = entry.as_ref()
            && *until > Instant::now()
        {
            return found.clone();
        }
        let found = ask().await;
        let fresh = if matches!(found, Found::Rules(_)) { self.fresh } else { self.unreachable };
        *entry = Some((Instant::now() + fresh, found.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allowed(file: &str, path: &str) -> bool {
        Rules::parse(file.as_bytes(), "diptych").allow(&Url::parse("http://e.org").and_then(|base| base.join(path)).expect("a URL"))
    }

    #[test]
    fn groups_are_chosen_and_merged() {
        let file = "User-agent: *\nDisallow: /\n\nUser-agent: Diptych/2.0\nDisallow: /a\n\nuser-agent: other\nuser-agent: DIPTYCH\nSitemap: x\nDisallow: /b";
        assert!(allowed(file, "/c"));
        assert!(!allowed(file, "/a"));
        assert!(!allowed(file, "/b"));
        assert!(!allowed("User-agent: *\nDisallow: /x", "/x/y"));
        assert!(allowed("Disallow: /\nUser-agent: other\nDisallow: /", "/x"), "lines before the first group, and other groups");
        assert!(allowed("User-agent: diptych-news\nDisallow: /", "/"), "another token");
        assert!(allowed("User-agent: *\nDisallow: /\nUser-agent: diptych\nDisallow:", "/x"), "an empty rule of our own group");
    }

    #[test]
    fn the_longest_pattern_wins() {
        let file = "User-agent: *\nDisallow: /shop\nAllow: /shop/open\nDisallow: /shop/open/*.gif$\nAllow: /tie\nDisallow: /tie";
        assert!(!allowed(file, "/shop/a"));
        assert!(allowed(file, "/shop/open/a.jpg"));
        assert!(!allowed(file, "/shop/open/a.gif"));
        assert!(allowed(file, "/shop/open/a.gif?x"));
        assert!(allowed(file, "/tie"));
        assert!(allowed(file, "/SHOP"));
        assert!(allowed("User-agent: *\nDisallow: /", "/robots.txt"));
    }

    #[test]
    fn spellings_are_normalised() {
        let file = "\u{feff}User-agent: * # all\r\nDisallow: /ü\rDisallow: /%7ejoe\nDisallow: /q?a=%2f # not this";
        assert!(!allowed(file, "/%C3%BC"));
        assert!(!allowed(file, "/~joe/x"));
        assert!(!allowed(file, "/q?a=%2F1"));
        assert!(allowed(file, "/q"));
    }

    #[test]
    fn delays_are_capped() {
        let delay = |file: &str| Rules::parse(file.as_bytes(), "diptych").delay;
        assert_eq!(delay("User-agent: *\nCrawl-delay: 2.5"), Some(Duration::from_millis(2500)));
        assert_eq!(delay("User-agent: *\nCrawl-delay: 86400"), Some(MAX_DELAY));
        assert_eq!(delay("User-agent: *\nCrawl-delay: -1\nCrawl-delay: nan"), None);
        assert_eq!(delay("User-agent: other\nCrawl-delay: 2"), None);
    }

    #[test]
    fn sitemaps_stand_outside_groups() {
        let file = "Sitemap: http://e.org/a.xml\nUser-agent: other\nsitemap:http://e.org/b.xml # more\nDisallow: /\n";
        let rules = Rules::parse(file.as_bytes(), "diptych");
        assert_eq!(rules.sitemaps, ["http://e.org/a.xml", "http://e.org/b.xml"]);
        assert!(allowed(file, "/x"));
    }

    #[test]
    fn only_the_first_500_kib_count() {
        let mut file = b"User-agent: *\n".to_vec();
        file.resize(MAX_BYTES, b'#');
        file.extend_from_slice(b"\nDisallow: /");
        assert!(Rules::parse(&file, "diptych").allow(&Url::parse("http://e.org/x").expect("a URL")));
    }

    #[tokio::test]
    async fn files_are_asked_for_once_until_they_are_old() {
        let (long, short) = (Duration::from_secs(3600), Duration::from_millis(20));
        let cache = Cache { fresh: long, unreachable: short, ..Cache::default() };
        let asked = std::cell::Cell::new(0);
        let get = async |url: &str, found: Found| {
            let url = Url::parse(url).expect("a URL");
            let ask = async || {
                asked.set(asked.get() + 1);
                found
            };
            cache.rules(&url, ask).await
        };
        let rules = || Found::Rules(Arc::default());
        get("http://a/1", rules()).await;
        get("http://a/2", rules()).await;
        assert_eq!(asked.get(), 1);
        get("https://a/2", Found::Unreachable).await;
        assert!(matches!(get("https://a/2", rules()).await, Found::Unreachable));
        assert_eq!(asked.get(), 2);
        tokio::time::sleep(2 * short).await;
        assert!(matches!(get("https://a/2", rules()).await, Found::Rules(_)));
        get("https://a/3", rules()).await;
        assert_eq!(asked.get(), 3);
    }

    /// The RFC's matching, by trying everything.
    fn matches_slowly(pattern: &[u8], path: &[u8]) -> bool {
        match pattern {
            [] => true,
            b"$" => path.is_empty(),
            [b'*', rest @ ..] => (0..=path.len()).any(|i| matches_slowly(rest, &path[i..])),
            [c, rest @ ..] => path.first() == Some(c) && matches_slowly(rest, &path[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_is_the_rfcs(pattern in "/[ab*]{0,6}\\$?", path in "/[ab]{0,8}") {
            prop_assert_eq!(matches(&pattern, &path), matches_slowly(pattern.as_bytes(), path.as_bytes()));
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            Rules::parse(&bytes, "diptych").allow(&Url::parse("http://e.org/x?y").expect("a URL"));
        }
    }
}
