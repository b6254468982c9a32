//! Shapes of addresses: what stays of them when everything that varies without end is taken out.
//!
//! A fine shape keeps the words, a coarse one only how deep a page lies and what kind of file it is.

use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};
use url::Url;

/// Letters and digits from which on a part of a path counts as a number.
const TOKEN: usize = 12;
/// The same for one in which letters and digits alternate between hyphens: names of things have some of that too.
const LONG_TOKEN: usize = 16;
/// Times that letters and digits change over in such a token at least.
const CHANGES: usize = 5;
/// Times that one part may stand in a path; relative links that lead into themselves repeat it without end.
const REPEATS: usize = 3;
/// Parts of a path, and names of a query, that are looked at: a page may have thousands of links with as many.
const MAX_PARTS: usize = 64;
/// Depth from which on coarse shapes no longer differ by it.
const DEEP: usize = 8;
/// Letters of an extension at most.
const MAX_EXTENSION: usize = 5;

/// A number for a text.
pub(crate) fn fingerprint(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The shapes of an address.
#[derive(Clone, Copy)]
pub(crate) struct Shapes {
    /// Host and path with every number and random token as `0`, and the names in its query.
    pub(crate) fine: u64,
    /// The host, how deep the page lies, its extension, and whether it has a query.
    pub(crate) coarse: u64,
    /// The host alone, with its port: another port is another server.
    pub(crate) host: u64,
}

impl Shapes {
    /// Those of an address.
    pub(crate) fn of(url: &Url) -> Self {
        let (host, parts) = (crate::fetch::host_key(url), parts(url));
        Shapes { fine: fine(url, &host, &parts), coarse: coarse(url, &host, &parts), host: fingerprint(&format!("host {host}")) }
    }
}

fn fine(url: &Url, host: &str, parts: &[&str]) -> u64 {
    let mut text = host.to_string();
    for part in parts {
        text.push('/');
        push_part(&mut text, part);
    }
    for (name, _) in url.query_pairs().take(MAX_PARTS) {
        text.push('&');
        push_name(&mut text, &name);
    }
    fingerprint(&text)
}

fn coarse(url: &Url, host: &str, parts: &[&str]) -> u64 {
    let last = parts.last().map_or("", |part| without_parameters(part));
    let extension = split_extension(last).1.to_ascii_lowercase();
    fingerprint(&format!("{} {} {extension} {}", host, parts.len().min(DEEP), url.query().is_some()))
}

/// The parts of a path, each at most [`REPEATS`] times: the first ones and the last.
fn parts(url: &Url) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    let (folders, last) = url.path().rsplit_once('/').unwrap_or_default();
    for part in folders.split('/').skip(1).take(MAX_PARTS).chain([last]) {
        if parts.iter().filter(|known| **known == part).count() < REPEATS {
            parts.push(part);
        }
    }
    parts
}

fn without_parameters(part: &str) -> &str {
    part.split(';').next().unwrap_or_default()
}

/// A name and its extension, if it has one.
fn split_extension(name: &str) -> (&str, &str) {
    match name.rsplit_once('.') {
        Some((stem, end)) if (1..=MAX_EXTENSION).contains(&end.len()) && end.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            (stem, end)
        }
        _ => (name, ""),
    }
}

/// A part of a path: its name, and the names of its parameters (`;name=value`).
fn push_part(text: &mut String, part: &str) {
    let mut pieces = part.split(';');
    let name = pieces.next().unwrap_or_default();
    // ASP.NET keeps sessions in parts such as `(S(lit3py55t21z5v55vlm25s55))`.
    if name.starts_with('(') && name.ends_with("))") {
        text.push_str("(0)");
    } else {
        let (stem, extension) = split_extension(name);
        push_name(text, stem);
        if !extension.is_empty() {
            text.push('.');
            push_name(text, extension);
        }
    }
    for parameter in pieces {
        text.push(';');
        push_name(text, parameter.split('=').next().unwrap_or_default());
    }
}

fn push_name(text: &mut String, name: &str) {
    let mut number = false;
    for c in if is_token(name) { "0" } else { name }.chars() {
        if !(c.is_ascii_digit() && number) {
            text.push(if c.is_ascii_digit() { '0' } else { c });
        }
        number = c.is_ascii_digit();
    }
}

/// Whether a name looks drawn at random: such names mix letters and digits; titles are words, with numbers between hyphens at most.
fn is_token(name: &str) -> bool {
    let is_gap = |c: char| matches!(c, '-' | '_');
    let core: Vec<char> = name.chars().filter(|c| !is_gap(*c)).collect();
    let digits = core.iter().filter(|c| c.is_ascii_digit()).count();
    if core.len() < TOKEN || digits < 3 || !core.iter().all(char::is_ascii_alphanumeric) {
        return false;
    }
    let changes = |group: &str| {
        let kinds: Vec<bool> = group.chars().map(|c| c.is_ascii_digit()).collect();
        kinds.windows(2).filter(|pair| pair[0] != pair[1]).count()
    };
    core.len() == name.len()
        || core.iter().all(char::is_ascii_hexdigit)
        || core.len() >= LONG_TOKEN && name.split(is_gap).map(changes).sum::<usize>() >= CHANGES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &str) -> Url {
        Url::parse("http://e.org").and_then(|base| base.join(path)).expect("a URL")
    }

    fn fine(url: &Url) -> u64 {
        Shapes::of(url).fine
    }

    fn coarse(url: &Url) -> u64 {
        Shapes::of(url).coarse
    }

    fn host(url: &Url) -> u64 {
        Shapes::of(url).host
    }

    fn same(a: &str, b: &str) -> bool {
        fine(&url(a)) == fine(&url(b))
    }

    #[test]
    fn numbers_make_no_difference_and_words_do() {
        assert!(same("/2024/05.html", "/1999/12.html") && same("/a?page=1&x=", "/a?page=77&x=y"));
        assert!(same("/s/9f3ab77c01d2/x", "/s/00aa11bb22cc33/x"));
        assert!(!same("/a/1", "/b/1") && !same("/a?x=1", "/a?y=1") && !same("/cats", "/dogs") && !same("/1", "/1/2"));
        assert!(!same("/internationalisation", "/industrialisations"));
        assert!(!same("/ten-cats-and-2-dogs-of-2024", "/six-cows-and-2-dogs-of-2024"));
        assert!(!same("/a.html", "/a.jpg") && !same("/facade-decade-10", "/decade-facade-10"));
    }

    #[test]
    fn sessions_and_tokens_make_no_difference() {
        assert!(same("/s/3f2504e0-4f89-11d3-9a0c-0305e82c3301/x", "/s/00aabbcc-0d0e-4f10-8a0b-112233445566/x"));
        assert!(same("/s/3f2504e04f8911d39a0c0305e82c3301.html", "/s/00aabbcc0d0e4f108a0b112233445566.html"));
        assert!(same("/t/q7Zk2-x9Lm4_pR8s1Vw3", "/t/b5Yc9_k2Tn7-a1Qs6Dh4e"));
        assert!(same("/a;jsessionid=0a1b2c!1234", "/a;jsessionid=ffee99!-99!77") && !same("/a;v=1", "/a;w=1"));
        assert!(same("/(S(lit3py55t21z5v55vlm25s55))/a.aspx", "/(S(abcdefghijklmnopqrstuvwx))/a.aspx"));
        assert!(same("/(X(1)S(lit3py55))/a.aspx", "/(X(1)S(abcdef))/a.aspx"));
    }

    #[test]
    fn paths_that_lead_into_themselves_are_one() {
        assert!(same("/x/x/x/", "/x/x/x/x/x/x/") && same("/a/b/a/b/a/b/c", "/a/b/a/b/a/b/a/b/a/b/c"));
        assert!(!same("/x/", "/x/x/") && !same("/x/x/x/a", "/x/x/x/b"));
    }

    #[test]
    fn of_long_paths_the_first_parts_and_the_last_count() {
        let deep = |middle: &str| {
            let parts = |from: usize, to: usize| (from..to).map(|n| format!("p{}/", letters(n))).collect::<String>();
            url(&format!("/{}{middle}/{}", parts(0, MAX_PARTS), parts(MAX_PARTS, 900)))
        };
        assert_eq!(fine(&deep("a")), fine(&deep("b")));
        assert!(fine(&deep("a").join("x").expect("a URL")) != fine(&deep("a").join("y").expect("a URL")));
        assert!(fine(&deep("a")) != fine(&url("/a/")));
    }

    /// A name of its own for a number, without digits.
    fn letters(n: usize) -> String {
        [n / 26, n % 26].map(|n| char::from(b'a' + n as u8)).iter().collect()
    }

    #[test]
    fn coarse_shapes_know_depth_and_kind() {
        let same = |a: &str, b: &str| coarse(&url(a)) == coarse(&url(b));
        assert!(
            same("/cats", "/dogs")
                && same("/a/b.HTML", "/c/d.html;x=1")
                && same("/?a=1", "/?b=2")
                && same("/1/2/3/4/5/6/7/8", "/1/2/3/4/5/6/7/8/9")
        );
        assert!(!same("/a", "/a/b") && !same("/a.html", "/a.php") && !same("/a", "/a?b"));
        assert!(coarse(&url("http://e.org:8080/a")) != coarse(&url("/a")) && host(&url("/a/b")) == host(&url("/c")));
    }
}
