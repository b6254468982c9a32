//! `robots.txt` after RFC 9309: which paths of an origin may be fetched.
//!
//! Pure text in, verdicts out; asking for the file is the business of `fetch`, keeping verdicts that of `origins`.

use crate::patterns::{self, Group, Patterns};
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// Bytes of a file that are read; the RFC asks for at least this (section 2.5).
pub(crate) const MAX_BYTES: usize = 500 << 10;
/// Longest crawl delay kept; longer ones are taken as this.
const MAX_DELAY: Duration = Duration::from_secs(30);
/// Sitemaps taken from one file.
const MAX_SITEMAPS: usize = 100;

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
    /// The patterns of TDMRep's file in its order, and whether rights are reserved there.
    reserved: Vec<(String, bool)>,
}

/// The groups for one name, merged.
#[derive(Default)]
struct Section {
    /// Whether lines are for it now.
    open: bool,
    /// Whether it was ever named.
    named: bool,
    /// Numbers of its rules.
    rules: Vec<u32>,
    delay: Option<Duration>,
}

impl Rules {
    /// Reads a file on behalf of the crawler whose product token is `agent` (lower case). Where it is not named, the groups for `also`
    /// (lower case) bind it too, besides those for everyone.
    pub(crate) fn parse(bytes: &[u8], agent: &str, also: &[String]) -> Self {
        let bytes = without_mark(whole_lines(bytes));
        let mut patterns = Patterns::default();
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
                    if sections.iter().any(|section| section.open) {
                        let rules = add_rule(&mut patterns, value, allow);
                        sections.iter_mut().filter(|section| section.open).for_each(|section| section.rules.extend(rules.clone()));
                    }
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
        for (_, section) in binding {
            rules.delay = rules.delay.max(section.delay);
            let group = patterns.group(&section.rules);
            // Many files say the same to several.
            if !rules.groups.contains(&group) {
                rules.groups.push(group);
            }
        }
        rules
    }

    /// Takes in `ai.txt`, which is written like `robots.txt`.
    pub(crate) fn read_ai_txt(&mut self, bytes: &[u8], agent: &str, also: &[String]) {
        self.ai = Rules::parse(bytes, agent, also).groups;
    }

    /// Takes in TDMRep's file: a JSON array of objects with a `location`, a pattern as in `robots.txt`, and a `tdm-reservation` of 1 or
    /// 0. The first pattern that matches a path counts. What is not of this form says nothing; of a file that breaks off, the
    /// entries before that count.
    pub(crate) fn read_tdmrep(&mut self, bytes: &[u8]) {
        for entry in entries(without_mark(bytes)) {
            let (location, said) = (entry["location"].as_str(), &entry["tdm-reservation"]);
            let reserves = match (said.as_f64(), said.as_str()) {
                (Some(1.0), _) | (_, Some("1")) => true,
                (Some(0.0), _) | (_, Some("0")) => false,
                _ => continue,
            };
            if let Some(location) = location {
                self.reserved.push((patterns::pattern(location), reserves));
            }
        }
    }

    /// Bytes of memory that the rules take.
    pub(crate) fn size(&self) -> usize {
        let groups: usize = self.groups.iter().chain(&self.ai).map(Group::size).sum();
        let texts = self.sitemaps.iter().chain(self.reserved.iter().map(|(pattern, _)| pattern));
        size_of::<Rules>() + groups + texts.map(|text| text.capacity() + size_of::<(String, bool)>()).sum::<usize>()
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
        let says = self.reserved.iter().find(|(pattern, _)| patterns::matches(pattern, &path));
        says.is_some_and(|(_, reserves)| *reserves).then_some("tdmrep.json")
    }

    /// Whether anything at all may be fetched.
    pub(crate) fn may_enter(&self) -> bool {
        ["/", "/ai.txt"].iter().any(|path| all_allow(&self.groups, path)) || self.groups.iter().any(Group::has_leave)
    }
}

fn all_allow(groups: &[Group], path: &str) -> bool {
    groups.iter().all(|group| group.allows(path))
}

fn normal_path(url: &Url) -> String {
    patterns::spelt(&url[url::Position::BeforePath..url::Position::AfterQuery])
}

/// The file without what exceeds the cap; a line that it cuts off is no line.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    if bytes.len() < MAX_BYTES {
        return bytes;
    }
    let bytes = &bytes[..MAX_BYTES];
    &bytes[..bytes.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(0)]
}

/// The objects of a JSON array, or a single one, up to the first place that is no JSON.
fn entries(bytes: &[u8]) -> impl Iterator<Item = Value> {
    let mut rest = bytes.trim_ascii_start();
    rest = rest.strip_prefix(b"[").unwrap_or(rest);
    std::iter::from_fn(move || {
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        let value = values.next()?.ok()?;
        rest = rest[values.byte_offset()..].trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest);
        Some(value)
    })
}

/// Adds a rule and gives its number; one without a path says nothing. To allow a folder's index page is to allow the folder's own address,
/// which is a second rule.
fn add_rule(patterns: &mut Patterns, value: &str, allow: bool) -> std::ops::Range<u32> {
    if value.is_empty() {
        return 0..0;
    }
    let pattern = patterns::pattern(value);
    let first = patterns.add(&pattern, allow);
    match pattern.rsplit_once('/') {
        Some((folder, page)) if allow && page.starts_with("index.htm") => first..patterns.add(&format!("{folder}/$"), allow) + 1,
        _ => first..first + 1,
    }
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
    fn a_line_that_the_cap_cuts_off_is_no_line() {
        let mut file = b"User-agent: *\nDisallow: /\n#".to_vec();
        file.resize(MAX_BYTES - b"\nAllow: /".len(), b' ');
        file.extend_from_slice(b"\nAllow: /public/\n");
        for file in [&file[..], &file[..MAX_BYTES]] {
            assert!(!Rules::parse(file, "diptych", &[]).allow(&Url::parse("http://e.org/x").expect("a URL")));
        }
    }

    #[test]
    fn rules_take_no_more_than_their_file() {
        let also = ["ccbot", "gptbot", "google-extended", "img2dataset"].map(String::from);
        let names = "User-agent: *\nUser-agent: CCBot\nUser-agent: GPTBot\nUser-agent: Google-Extended\nUser-agent: img2dataset\n";
        let same = Rules::parse(format!("{names}{}", "Allow:/\n".repeat(60_000)).as_bytes(), "diptych", &also);
        assert!(same.size() < 1000, "{}", same.size());
        let each: String = (0..40_000).map(|i| format!("Allow:/{i}\n")).collect();
        let different = Rules::parse(format!("{names}{each}").as_bytes(), "diptych", &also);
        assert!(different.size() < 2 * MAX_BYTES, "{}", different.size());
    }

    #[test]
    fn only_the_first_500_kib_count() {
        let mut file = b"User-agent: *\n".to_vec();
        file.resize(MAX_BYTES, b'#');
        file.extend_from_slice(b"\nDisallow: /");
        assert!(Rules::parse(&file, "diptych", &[]).allow(&Url::parse("http://e.org/x").expect("a URL")));
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
        let tdm = r#"[{"location": "/free/not/*.png$", "tdm-reservation": "1", "tdm-policy": "http://e.org/p"}, {"location": 7}, 8,
            {"location": "/free/*", "tdm-reservation": 0}, {"location": "/", "tdm-reservation": 1.0}]"#;
        assert_eq!(out("", tdm, "/a"), Some("tdmrep.json"));
        assert_eq!(out("", tdm, "/free/a.png"), None);
        assert_eq!(out("", tdm, "/free/not/a.png"), Some("tdmrep.json"));
        assert_eq!(out("", r#"{"location": "/b", "tdm-reservation": 1}"#, "/b/c"), Some("tdmrep.json"));
        let first = r#"[{"location": "/*", "tdm-reservation": 1}, {"location": "/open/*.png", "tdm-reservation": 0}, {"loc"#;
        assert_eq!(out("", &format!("\u{feff}{first}"), "/open/1.png"), Some("tdmrep.json"), "the first that matches");
        for nothing in ["", "[", "[]", "7", "null", r#"[{"location": "/", "tdm-reservation": 2}]"#] {
            assert_eq!(out("", nothing, "/a"), None, "{nothing}");
        }
    }

    #[test]
    fn a_closed_place_is_not_asked_for_more() {
        let enter = |file: &str| Rules::parse(file.as_bytes(), "diptych", &[]).may_enter();
        assert!(enter("") && enter("User-agent: *\nDisallow: /a") && enter("User-agent: *\nDisallow: /\nAllow: /a"));
        assert!(!enter("User-agent: *\nDisallow: /"));
        assert!(enter("User-agent: *\nDisallow: /$"), "the first page alone is closed");
    }

    proptest! {
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
