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

/// Bytes of a line that are read, as Google's parser has it: eight times what browsers take as a URL, with an end.
const MAX_LINE: usize = 2083 * 8 - 1;

/// What an origin says to one crawler, in `robots.txt` and in the files that reserve rights.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rules {
    /// The groups that bind us; each must allow a path.
    groups: Vec<Group>,
    /// Wait between two requests that the file asks for, at most [`MAX_DELAY`].
    pub(crate) delay: Option<Duration>,
    /// Addresses of sitemaps as written; they hold for every crawler.
    pub(crate) sitemaps: Vec<String>,
    /// The groups of `ai.txt`; what one of them does not allow is opted out.
    ai: Vec<Group>,
    /// The patterns of TDMRep's file, longest first, and whether rights are reserved there.
    reserved: Vec<(String, bool)>,
}

/// The rules of one group: longest pattern first; of equal ones, those that allow first.
type Group = Vec<Rule>;

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    pattern: String,
    allow: bool,
}

/// The groups for one name, merged.
#[derive(Default)]
struct Section {
    /// Whether lines are for it now.
    open: bool,
    /// Whether it was ever named.
    named: bool,
    rules: Group,
    delay: Option<Duration>,
}

impl Rules {
    /// Reads a file on behalf of the crawler whose product token is `agent` (lower case). Where it is not named, the groups for `also`
    /// (lower case) bind it too, besides those for everyone.
    pub(crate) fn parse(bytes: &[u8], agent: &str, also: &[String]) -> Self {
        let bytes = without_mark(&bytes[..bytes.len().min(MAX_BYTES)]);
        let mut sitemaps = Vec::new();
        // Our own, everyone's, then the others'.
        let mut sections: Vec<Section> = (0..2 + also.len()).map(|_| Section::default()).collect();
        let mut in_rules = false;
        for line in bytes.split(|byte| matches!(byte, b'\n' | b'\r')) {
            let line = String::from_utf8_lossy(&line[..line.len().min(MAX_LINE)]);
            let Some((key, value)) = key_and_value(&line) else { continue };
            match key {
                Key::Agent => {
                    if std::mem::take(&mut in_rules) {
                        sections.iter_mut().for_each(|section| section.open = false);
                    }
                    let name = product(value).to_ascii_lowercase();
                    let anyone = value.strip_prefix('*').is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
                    for (at, section) in sections.iter_mut().enumerate() {
                        let meant = match at {
                            0 => name == agent,
                            1 => anyone,
                            // Not all of these keep to the letters of the RFC.
                            _ => name == also[at - 2] || word(value).eq_ignore_ascii_case(&also[at - 2]),
                        };
                        section.open |= meant;
                        section.named |= meant;
                    }
                }
                Key::Rule { allow } => {
                    in_rules = true;
                    sections.iter_mut().filter(|section| section.open).for_each(|section| add_rule(&mut section.rules, value, allow));
                }
                Key::Delay => {
                    let delay = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                    for section in sections.iter_mut().filter(|section| section.open) {
                        section.delay = delay.map(|delay| delay.min(MAX_DELAY)).or(section.delay);
                    }
                }
                Key::Sitemap if sitemaps.len() < MAX_SITEMAPS => sitemaps.push(value.to_string()),
                Key::Sitemap => {}
            }
        }
        let own = sections[0].named;
        let binding = sections.into_iter().enumerate().filter(|(at, section)| if own { *at == 0 } else { section.named });
        let mut rules = Rules { sitemaps, ..Rules::default() };
        for (_, mut section) in binding {
            section.rules.sort_by(|a, b| b.pattern.len().cmp(&a.pattern.len()).then(b.allow.cmp(&a.allow)));
            rules.delay = rules.delay.max(section.delay);
            rules.groups.push(section.rules);
        }
        rules
    }

    /// Takes in `ai.txt`, which is written like `robots.txt`.
    pub(crate) fn read_ai_txt(&mut self, bytes: &[u8], agent: &str, also: &[String]) {
        self.ai = Rules::parse(bytes, agent, also).groups;
    }

    /// Takes in TDMRep's file: a JSON array of objects with a `location`, a pattern as in `robots.txt`, and a `tdm-reservation` of 1 or
    /// 0. Of patterns that match a path the longest counts, and of equal ones the one that reserves. What is not of this form says
    /// nothing.
    pub(crate) fn read_tdmrep(&mut self, bytes: &[u8]) {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
        let entries = value.as_array().map_or(std::slice::from_ref(&value), Vec::as_slice);
        for entry in entries {
            let (location, said) = (entry["location"].as_str(), &entry["tdm-reservation"]);
            let reserves = match (said.as_i64(), said.as_str()) {
                (Some(1), _) | (_, Some("1")) => true,
                (Some(0), _) | (_, Some("0")) => false,
                _ => continue,
            };
            if let Some(location) = location {
                self.reserved.push((normal(location), reserves));
            }
        }
        self.reserved.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(b.1.cmp(&a.1)));
    }

    /// Whether the URL's path and query may be fetched.
    pub(crate) fn allow(&self, url: &Url) -> bool {
        url.path() == "/robots.txt" || all_allow(&self.groups, &normal_path(url))
    }

    /// The file in which the owner reserves the use of the URL, if one does.
    pub(crate) fn opted_out(&self, url: &Url) -> Option<&'static str> {
        if self.ai.is_empty() && self.reserved.is_empty() {
            return None;
        }
        let path = normal_path(url);
        if !all_allow(&self.ai, &path) {
            return Some("ai.txt");
        }
        let says = self.reserved.iter().find(|(pattern, _)| matches(pattern, &path));
        says.is_some_and(|(_, reserves)| *reserves).then_some("tdmrep.json")
    }

    /// Whether anything at all may be fetched.
    pub(crate) fn may_enter(&self) -> bool {
        all_allow(&self.groups, "/") || self.groups.iter().flatten().any(|rule| rule.allow)
    }
}

fn all_allow(groups: &[Group], path: &str) -> bool {
    groups.iter().all(|rules| rules.iter().find(|rule| matches(&rule.pattern, path)).is_none_or(|rule| rule.allow))
}

fn normal_path(url: &Url) -> String {
    normal(&url[url::Position::BeforePath..url::Position::AfterQuery])
}

/// Adds a rule; one without a path says nothing. To allow a folder's index page is to allow the folder's own address.
fn add_rule(rules: &mut Group, value: &str, allow: bool) {
    if value.is_empty() {
        return;
    }
    let pattern = normal(value);
    if let (true, Some((folder, page))) = (allow, pattern.rsplit_once('/'))
        && page.starts_with("index.htm")
    {
        rules.push(Rule { pattern: format!("{folder}/$"), allow });
    }
    rules.push(Rule { pattern, allow });
}

/// What a line is about.
#[derive(Clone, Copy)]
enum Key {
    Agent,
    Rule { allow: bool },
    Delay,
    Sitemap,
}

/// Names of lines as they are written, with the slips of the pen that Google's parser forgives too.
const KEYS: [(&str, Key); 14] = [
    ("user-agent", Key::Agent),
    ("useragent", Key::Agent),
    ("user agent", Key::Agent),
    ("allow", Key::Rule { allow: true }),
    ("disallow", Key::Rule { allow: false }),
    ("dissallow", Key::Rule { allow: false }),
    ("dissalow", Key::Rule { allow: false }),
    ("disalow", Key::Rule { allow: false }),
    ("diasllow", Key::Rule { allow: false }),
    ("disallaw", Key::Rule { allow: false }),
    ("crawl-delay", Key::Delay),
    ("crawldelay", Key::Delay),
    ("sitemap", Key::Sitemap),
    ("site-map", Key::Sitemap),
];

/// Splits a line at its colon, or where that was forgotten at the blank between two words.
fn key_and_value(line: &str) -> Option<(Key, &str)> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let (key, value) = match line.split_once(':') {
        Some(parts) => parts,
        None => line.split_once([' ', '\t']).filter(|(_, value)| !value.trim().contains([' ', '\t']))?,
    };
    let key = key.trim();
    let begins = |name: &str| key.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    KEYS.iter().find(|(name, _)| begins(name)).map(|(_, key)| (*key, value.trim()))
}

/// The file without the byte order mark of UTF-8, or what is there of it.
fn without_mark(bytes: &[u8]) -> &[u8] {
    let mark = [0xef, 0xbb, 0xbf];
    &bytes[bytes.iter().zip(mark).take_while(|(byte, mark)| **byte == *mark).count()..]
}

/// The name at the start of a user-agent value, digits included.
fn word(value: &str) -> &str {
    value.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).next().unwrap_or_default()
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
        Rules::parse(file.as_bytes(), "diptych", &[]).allow(&Url::parse("http://e.org").and_then(|base| base.join(path)).expect("a URL"))
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
        let delay = |file: &str| Rules::parse(file.as_bytes(), "diptych", &[]).delay;
        assert_eq!(delay("User-agent: *\nCrawl-delay: 2.5"), Some(Duration::from_millis(2500)));
        assert_eq!(delay("User-agent: *\nCrawl-delay: 86400"), Some(MAX_DELAY));
        assert_eq!(delay("User-agent: *\nCrawl-delay: -1\nCrawl-delay: nan"), None);
        assert_eq!(delay("User-agent: other\nCrawl-delay: 2"), None);
    }

    #[test]
    fn sitemaps_stand_outside_groups() {
        let file = "Sitemap: http://e.org/a.xml\nUser-agent: other\nsitemap:http://e.org/b.xml # more\nDisallow: /\n";
        let rules = Rules::parse(file.as_bytes(), "diptych", &[]);
        assert_eq!(rules.sitemaps, ["http://e.org/a.xml", "http://e.org/b.xml"]);
        assert!(allowed(file, "/x"));
    }

    #[test]
    fn only_the_first_500_kib_count() {
        let mut file = b"User-agent: *\n".to_vec();
        file.resize(MAX_BYTES, b'#');
        file.extend_from_slice(b"\nDisallow: /");
        assert!(Rules::parse(&file, "diptych", &[]).allow(&Url::parse("http://e.org/x").expect("a URL")));
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

    #[test]
    fn groups_of_other_collectors_bind_where_we_are_not_named() {
        let also = ["ccbot", "gptbot", "google-extended", "img2dataset"].map(String::from);
        let allowed = |file: &str, path: &str| {
            let url = Url::parse("http://e.org").and_then(|base| base.join(path)).expect("a URL");
            Rules::parse(file.as_bytes(), "diptych", &also).allow(&url)
        };
        for name in ["CCBot", "GPTBot", "Google-Extended", "img2dataset"] {
            assert!(!allowed(&format!("User-agent: {name}\nDisallow: /\n\nUser-agent: *\nDisallow:"), "/a"), "{name}");
            assert!(
                allowed(&format!("User-agent: {name}\nDisallow: /\n\nUser-agent: diptych\nDisallow: /b"), "/a"),
                "{name}, but we are named"
            );
        }
        let both = "User-agent: GPTBot\nDisallow: /g\nCrawl-delay: 3\n\nUser-agent: CCBot\nDisallow: /c\n\nUser-agent: *\nDisallow: /x\nCrawl-delay: 1";
        for (path, expected) in [("/g", false), ("/c", false), ("/x", false), ("/a", true)] {
            assert_eq!(allowed(both, path), expected, "{path}");
        }
        assert_eq!(Rules::parse(both.as_bytes(), "diptych", &also).delay, Some(Duration::from_secs(3)));
        assert!(allowed("User-agent: Googlebot\nDisallow: /", "/a"), "a group that is nobody's of ours");
        assert!(!allowed("User-agent: GPTBot\nDisallow:\n\nUser-agent: *\nDisallow: /", "/a"), "others' leave is not ours");
    }

    #[test]
    fn rights_are_reserved_in_files_of_their_own() {
        let out = |ai: &str, tdm: &str, path: &str| {
            let mut rules = Rules::default();
            rules.read_ai_txt(ai.as_bytes(), "diptych", &["gptbot".to_string()]);
            rules.read_tdmrep(tdm.as_bytes());
            rules.opted_out(&Url::parse("http://e.org").and_then(|base| base.join(path)).expect("a URL"))
        };
        let ai = "User-Agent: *\nDisallow: *.jpg\nDisallow: /art/\nAllow: *.txt\n";
        assert_eq!(out(ai, "", "/a.jpg"), Some("ai.txt"));
        assert_eq!(out(ai, "", "/art/b.png"), Some("ai.txt"));
        assert_eq!(out(ai, "", "/a.png"), None);
        assert_eq!(out("User-Agent: GPTBot\nDisallow: /", "", "/a"), Some("ai.txt"));
        let tdm = r#"[{"location": "/", "tdm-reservation": 1}, {"location": "/free/*", "tdm-reservation": 0},
            {"location": "/free/not/*.png$", "tdm-reservation": "1", "tdm-policy": "http://e.org/p"}, {"location": 7}, 8]"#;
        assert_eq!(out("", tdm, "/a"), Some("tdmrep.json"));
        assert_eq!(out("", tdm, "/free/a.png"), None);
        assert_eq!(out("", tdm, "/free/not/a.png"), Some("tdmrep.json"));
        assert_eq!(out("", r#"{"location": "/b", "tdm-reservation": 1}"#, "/b/c"), Some("tdmrep.json"));
        for nothing in ["", "[", "[]", "7", "null", r#"[{"location": "/", "tdm-reservation": 2}]"#] {
            assert_eq!(out("", nothing, "/a"), None, "{nothing}");
        }
    }

    #[test]
    fn a_closed_place_is_not_asked_for_more() {
        let enter = |file: &str| Rules::parse(file.as_bytes(), "diptych", &[]).may_enter();
        assert!(enter("") && enter("User-agent: *\nDisallow: /a") && enter("User-agent: *\nDisallow: /\nAllow: /a"));
        assert!(!enter("User-agent: *\nDisallow: /"));
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
            let url = Url::parse("http://e.org/x?y").expect("a URL");
            let mut rules = Rules::parse(&bytes, "diptych", &["ccbot".to_string()]);
            rules.read_ai_txt(&bytes, "diptych", &[]);
            rules.read_tdmrep(&bytes);
            // That they answer at all is what is tested.
            let _ = (rules.allow(&url), rules.opted_out(&url), rules.may_enter());
        }
    }
}
