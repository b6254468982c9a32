//! Path patterns as `robots.txt`, `ai.txt` and TDMRep have them, and the group that a path is held against.

/// Collects rules of a file, once each, for groups that share them.
#[derive(Default)]
pub(crate) struct Patterns {
    text: String,
    rules: Vec<Rule>,
}

/// A pattern as a stretch of the text that it stands in.
#[derive(Clone, Copy)]
struct Rule {
    begin: u32,
    end: u32,
    allow: bool,
}

impl Patterns {
    /// Adds a rule and gives its number. The file's cap keeps the text far below 4 GiB.
    pub(crate) fn add(&mut self, pattern: &str, allow: bool) -> u32 {
        let begin = self.text.len() as u32;
        self.text.push_str(pattern);
        self.rules.push(Rule { begin, end: self.text.len() as u32, allow });
        self.rules.len() as u32 - 1
    }

    /// The group of the rules with these numbers.
    pub(crate) fn group(&self, numbers: &[u32]) -> Group {
        let mut rules: Vec<(&str, bool)> = numbers
            .iter()
            .map(|&number| {
                let Rule { begin, end, allow } = self.rules[number as usize];
                (&self.text[begin as usize..end as usize], allow)
            })
            .collect();
        rules.sort_unstable_by(|(a, a_allows), (b, b_allows)| b.len().cmp(&a.len()).then(b_allows.cmp(a_allows)).then(a.cmp(b)));
        rules.dedup();
        let mut group = Group::default();
        for (pattern, allow) in rules {
            group.text.push_str(pattern);
            group.rules.push((group.text.len() as u32, allow));
        }
        group.text.shrink_to_fit();
        group.rules.shrink_to_fit();
        group
    }
}

/// The rules of one group: longest pattern first; of equal ones, those that allow first. Files are as long as strangers like, and one is
/// kept for each origin: so the patterns lie in one text, with the end of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Group {
    text: String,
    rules: Vec<(u32, bool)>,
}

impl Group {
    /// Whether a path, in its one spelling, is allowed: the longest pattern that matches decides (RFC 9309, 2.2.2).
    pub(crate) fn allows(&self, path: &str) -> bool {
        self.rules().find(|(pattern, _)| matches(pattern, path)).is_none_or(|(_, allow)| allow)
    }

    /// Whether there is a rule that allows.
    pub(crate) fn has_leave(&self) -> bool {
        self.rules.iter().any(|(_, allow)| *allow)
    }

    /// Bytes of memory that it takes.
    pub(crate) fn size(&self) -> usize {
        self.text.capacity() + self.rules.capacity() * size_of::<(u32, bool)>()
    }

    fn rules(&self) -> impl Iterator<Item = (&str, bool)> {
        let begins = std::iter::once(0).chain(self.rules.iter().map(|(end, _)| *end as usize));
        begins.zip(&self.rules).map(|(begin, &(end, allow))| (&self.text[begin..end as usize], allow))
    }
}

/// The one spelling of a URL's path and query: `*` and `$` in it are letters (section 2.2.3).
pub(crate) fn spelt(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    spell(path, &mut out, |_, _| false);
    out
}

/// The one spelling of a pattern in which `$` is a letter too.
pub(crate) fn spelt_glob(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    spell(text, &mut out, |byte, _| byte == b'*');
    out
}

/// The one spelling of a pattern, where `*` stands for anything and `$`, as the last letter, for the end.
pub(crate) fn pattern(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    spell(text, &mut out, |byte, is_last| byte == b'*' || byte == b'$' && is_last);
    out
}

/// Escapes all that is neither unreserved nor a separator, in upper case, and writes escaped unreserved characters plainly. `is_special`
/// is asked of a byte, and of whether it is the last one.
fn spell(text: &str, out: &mut String, is_special: impl Fn(u8, bool) -> bool) {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let escaped = (bytes[i] == b'%').then(|| shards::escaped_byte(&bytes[i..])).flatten();
        match (escaped, bytes[i]) {
            (Some(byte), _) if is_unreserved(byte) => out.push(byte as char),
            (Some(byte), _) => out.push_str(&format!("%{byte:02X}")),
            (None, byte) if is_unreserved(byte) || b"/?:@!&()+,;=[]%".contains(&byte) => out.push(byte as char),
            (None, byte) if is_special(byte, i + 1 == bytes.len()) => out.push(byte as char),
            (None, byte) => out.push_str(&format!("%{byte:02X}")),
        }
        i += if escaped.is_some() { 3 } else { 1 };
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether `pattern` (with `*`, and `$` at its end) matches `path` from its start. Linear: stretches between stars are
/// found one after the other, each as early as possible.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_group_keeps_a_rule_once() {
        let mut patterns = Patterns::default();
        let numbers: Vec<u32> =
            [("/", true), ("/a", false), ("/", true), ("/", false), ("/a", false)].map(|(text, allow)| patterns.add(text, allow)).to_vec();
        let group = patterns.group(&numbers);
        assert_eq!(group.rules().collect::<Vec<_>>(), [("/a", false), ("/", true), ("/", false)]);
        assert!(group.allows("/b") && !group.allows("/ab") && group.has_leave());
        assert_eq!(group, patterns.group(&numbers[..4]));
        assert!(patterns.group(&[]).allows("/"));
    }

    #[test]
    fn escapes_and_letters_have_one_spelling() {
        for (text, path) in [
            ("/x/foo-%24", "/x/foo-$"),
            ("/x/bar-%2A.png", "/x/bar-*.png"),
            ("/x/bar-%2a.png$", "/x/bar-*.png"),
            ("/a$b", "/a$b"),
            ("/{p}", "/%7Bp%7D"),
            ("/q\"", "/q%22"),
            ("/z?t='", "/z?t=%27"),
            ("/ü", "/%c3%bc"),
            ("/100%+x", "/100%+x"),
        ] {
            assert!(matches(&pattern(text), &spelt(path)), "{text} {path}");
        }
        assert!(!matches(&pattern("/x%2Ay"), &spelt("/x1y")) && !matches(&pattern("/x$"), &spelt("/x$y")));
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
    }
}
