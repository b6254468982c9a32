//! The HTML and extension tags of wikitext: which there are, and what they do to the text between them.

/// The longest tag that is read, in bytes; a longer one is text.
const MAX_TAG: usize = 2000;

/// What a tag does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// Nothing to see: `H<sub>2</sub>O` reads H2O.
    Inline,
    /// Begins a line.
    Block,
    /// What it holds is not text: references, formulas, code, galleries.
    Hidden,
    /// What it holds is text without markup.
    Literal,
}

/// Tags whose content is dropped, as WikiExtractor drops it, and those of newer extensions.
const HIDDEN: [&str; 29] = [
    "categorytree",
    "ce",
    "chem",
    "gallery",
    "graph",
    "hiero",
    "imagemap",
    "includeonly",
    "indicator",
    "inputbox",
    "mapframe",
    "maplink",
    "math",
    "pages",
    "phonos",
    "pre",
    "ref",
    "references",
    "score",
    "section",
    "source",
    "style",
    "syntaxhighlight",
    "templatedata",
    "templatestyles",
    "timeline",
    "script",
    "abstract",
    "quiz",
];
const BLOCK: [&str; 28] = [
    "blockquote",
    "br",
    "caption",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "poem",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
    "figure",
    "figcaption",
];
const INLINE: [&str; 44] = [
    "a",
    "abbr",
    "b",
    "bdi",
    "bdo",
    "big",
    "cite",
    "code",
    "data",
    "del",
    "dfn",
    "em",
    "font",
    "i",
    "ins",
    "kbd",
    "mark",
    "noinclude",
    "onlyinclude",
    "q",
    "rb",
    "rp",
    "rt",
    "rtc",
    "ruby",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "time",
    "tt",
    "u",
    "var",
    "wbr",
    "nobr",
    "img",
    "includes",
    "col",
    "colgroup",
    "translate",
];

/// A tag as it stands in the text.
pub(crate) struct Tag {
    /// Its name in lower case.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) effect: Effect,
    /// Whether content follows: neither `</a>` nor `<a />`.
    pub(crate) opens: bool,
    /// Its length in bytes.
    pub(crate) length: usize,
}

/// Reads the tag with which `text` begins; `None` if that is no known tag.
///
/// Never looks beyond the next `<`, so that reading all tags of a text is linear.
pub(crate) fn read_tag(text: &str) -> Option<Tag> {
    let bytes = text.as_bytes();
    let slash = usize::from(bytes.get(1) == Some(&b'/'));
    let begin = 1 + slash;
    let length = bytes[begin..].iter().take(20).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let (name, effect) = known(&text[begin..begin + length])?;
    let tail = &bytes[begin + length..];
    let end = tail.iter().take(MAX_TAG).position(|&byte| byte == b'>' || byte == b'<').filter(|&end| tail[end] == b'>')?;
    let closed = end > 0 && tail[end - 1] == b'/';
    Some(Tag { name, effect, opens: slash == 0 && !closed, length: begin + length + end + 1 })
}

fn known(name: &str) -> Option<(&'static str, Effect)> {
    let find =
        |names: &'static [&'static str], effect| names.iter().find(|known| known.eq_ignore_ascii_case(name)).map(|known| (*known, effect));
    find(&HIDDEN, Effect::Hidden)
        .or_else(|| find(&INLINE, Effect::Inline))
        .or_else(|| find(&BLOCK, Effect::Block))
        .or_else(|| find(&["nowiki"], Effect::Literal))
}

/// Where a tag's content ends.
pub(crate) struct Content {
    /// Length of the content in bytes.
    pub(crate) length: usize,
    /// Length with the closing tag.
    pub(crate) length_with_tag: usize,
}

/// Searches closing tags, and remembers which are not to be found: without that a page full of unclosed tags would be
/// searched to its end for each of them.
#[derive(Default)]
pub(crate) struct ClosingTags {
    missing: Vec<&'static str>,
}

impl ClosingTags {
    /// The content that `text` begins with, up to the first closing tag of this name; calls must go forward in one text.
    pub(crate) fn content(&mut self, text: &str, name: &'static str) -> Option<Content> {
        if self.missing.contains(&name) {
            return None;
        }
        let found = closing_tag(text, name);
        if found.is_none() {
            self.missing.push(name);
        }
        found
    }
}

fn closing_tag(text: &str, name: &str) -> Option<Content> {
    let bytes = text.as_bytes();
    text.match_indices("</").find_map(|(at, _)| {
        let end = at + 2 + name.len();
        let same = bytes.get(at + 2..end).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()));
        let blanks = bytes.get(end..).map_or(0, |tail| tail.iter().take(MAX_TAG).take_while(|byte| byte.is_ascii_whitespace()).count());
        let closed = same && bytes.get(end + blanks) == Some(&b'>');
        closed.then_some(Content { length: at, length_with_tag: end + blanks + 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tags_are_read_and_others_are_text() {
        let read = |text| read_tag(text).map(|tag| (tag.name, tag.opens, tag.length));
        assert_eq!(read("<REF name=\"a\">x"), Some(("ref", true, 14)));
        assert_eq!(read("<ref name=a/>x"), Some(("ref", false, 13)));
        assert_eq!(read("</sub>"), Some(("sub", false, 6)));
        assert_eq!(read("<br />"), Some(("br", false, 6)));
        for text in ["<", "</", "< b>", "<5", "<foo>", "<b", "<b <i>", "<http://x>"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn content_ends_at_the_first_closing_tag_of_its_name() {
        let mut tags = ClosingTags::default();
        let content = tags.content("a <b></refs></Ref >z", "ref").expect("closed");
        assert_eq!((content.length, content.length_with_tag), (12, 19));
        assert!(tags.content("no end", "math").is_none());
        assert!(tags.content("</math>", "math").is_none(), "remembered as missing");
    }
}
