//! The matching rules: how captions and queries are brought into the form in which one is looked for in the other.
//!
//! A list names its rule in the note `match`, and a crawl obeys it. All three end in the same question, put to the same two
//! tries: where in the caption does the query stand with a blank, or the caption's end, on each side that is not free?
//!
//! | rule | caption | query | an end is free where |
//! |---|---|---|---|
//! | `folded` | NFKC, lower case, plain apostrophes and hyphens, every sign set off, blanks collapsed | the same | a letter of a script without blanks stands there |
//! | `metaclip1` | blanks around each of `, . ; : ? !` and the grave accent; tab, CR and LF to blanks | as written | never |
//! | `metaclip2` | as `metaclip1` | as written | such a letter or a punctuation character stands there |
//!
//! `folded` is explained in `folded.rs`. The other two are the published rules (arXiv 2309.16671, 2507.22062) to the letter: case
//! counts, blanks are not collapsed, and an entry with one of the seven signs inside can never match, as only captions are spaced.

use crate::folded::{fold, is_dense, spaced};
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// How captions and queries are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// Case, forms of the same letter or sign, and what is not seen do not count: diptych's own.
    #[default]
    Folded,
    /// MetaCLIP's first rule, case-sensitive.
    Metaclip1,
    /// MetaCLIP 2's, which also finds words of scripts without blanks.
    Metaclip2,
}

impl Rule {
    /// All rules.
    pub const ALL: [Rule; 3] = [Rule::Folded, Rule::Metaclip1, Rule::Metaclip2];

    /// The name in the note `match` of a query list.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Folded => "folded",
            Rule::Metaclip1 => "metaclip1",
            Rule::Metaclip2 => "metaclip2",
        }
    }

    /// Whether `Cat` and `cat` are two queries.
    pub fn is_cased(self) -> bool {
        self != Rule::Folded
    }

    /// A caption as queries are looked for in it.
    pub(crate) fn caption(self, text: &str) -> String {
        match self {
            Rule::Folded => spaced(&fold(text)),
            Rule::Metaclip1 | Rule::Metaclip2 => set_off(text),
        }
    }

    /// A query as it is looked for.
    pub(crate) fn query(self, text: &str) -> Cow<'_, str> {
        match self {
            Rule::Folded => Cow::Owned(spaced(&fold(text))),
            Rule::Metaclip1 | Rule::Metaclip2 => Cow::Borrowed(text),
        }
    }

    /// Whether anything may stand beside a query on the side of its end `c`.
    pub(crate) fn is_free(self, c: char) -> bool {
        match self {
            Rule::Folded => is_dense(c),
            Rule::Metaclip1 => false,
            Rule::Metaclip2 => is_dense(c) || is_punctuation(c),
        }
    }
}

/// The published spacing of captions. Blanks are not collapsed.
fn set_off(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for c in text.chars() {
        match c {
            ',' | '.' | ';' | ':' | '?' | '!' | '`' => out.extend([' ', c, ' ']),
            '\t' | '\n' | '\r' => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

/// Gives start and end of each token of a spaced text.
pub(crate) fn cut_at_blanks(text: &[u8], give: &mut dyn FnMut(usize, usize)) {
    let mut start = 0;
    for end in memchr::memchr_iter(b' ', text) {
        give(start, end);
        start = end + 1;
    }
    give(start, text.len());
}

/// What the published spacing does with each byte: 1 for a blank, 2 for a sign that is set off. Both are ASCII, so no byte of a longer
/// character is among them.
const SPACING: [u8; 256] = {
    let mut spacing = [0; 256];
    let (blanks, signs) = (b" \t\n\r", b",.;:?!`");
    let mut i = 0;
    while i < signs.len() {
        spacing[signs[i] as usize] = 2;
        if i < blanks.len() {
            spacing[blanks[i] as usize] = 1;
        }
        i += 1;
    }
    spacing
};

/// Gives start and end of each token of a caption as [`set_off`] would space it, empty ones too.
pub(crate) fn cut_set_off(text: &[u8], give: &mut dyn FnMut(usize, usize)) {
    let mut start = 0;
    for (at, &byte) in text.iter().enumerate() {
        let spacing = SPACING[usize::from(byte)];
        if spacing != 0 {
            give(start, at);
            if spacing == 2 {
                give(at, at + 1);
            }
            start = at + 1;
        }
    }
    give(start, text.len());
}

/// ASCII's signs and Unicode's punctuation.
fn is_punctuation(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_punctuation();
    }
    GeneralCategoryGroup::Punctuation.contains(CodePointMapData::<GeneralCategory>::new().get(c))
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Rule::ALL.map(Rule::name).join(", ");
        Rule::ALL
            .into_iter()
            .find(|rule| rule.name() == name)
            .ok_or_else(|| format!("no matching rule is called {name:?}; there are {}", known()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_set_off_as_published() {
        assert_eq!(Rule::Metaclip1.caption("A photo,of\ta  \"cat\".\n"), "A photo , of a  \"cat\" .  ");
        assert_eq!(Rule::Metaclip2.query("St. Louis"), "St. Louis");
    }

    #[test]
    fn cutting_equals_spacing() {
        for text in ["", " ", "a", "a,b", ", x", "A photo,of\ta  \"cat\".\n", "..", "é,猫", "a\r\nb"] {
            let (mut cut, spaced) = (Vec::new(), set_off(text));
            cut_set_off(text.as_bytes(), &mut |start, end| cut.push(&text[start..end]));
            assert_eq!(cut, spaced.split(' ').collect::<Vec<_>>(), "{text:?}");
            let mut again = Vec::new();
            cut_at_blanks(spaced.as_bytes(), &mut |start, end| again.push(&spaced[start..end]));
            assert_eq!(cut, again);
        }
    }

    #[test]
    fn free_ends() {
        let free = |c: char| Rule::ALL.map(|rule| rule.is_free(c));
        assert_eq!(free('a'), [false, false, false]);
        assert_eq!(free('猫'), [true, false, true]);
        assert_eq!(free('.'), [false, false, true]);
        assert_eq!(free('。'), [false, false, true]);
        assert_eq!(free('$'), [false, false, true]);
        assert_eq!(free(' '), [false, false, false]);
    }

    #[test]
    fn names_go_there_and_back() {
        assert!(Rule::ALL.iter().all(|rule| rule.name().parse() == Ok(*rule)));
        assert_eq!(
            "exact".parse::<Rule>(),
            Err("no matching rule is called \"exact\"; there are folded, metaclip1, metaclip2".to_string())
        );
    }
}
