//! Which texts of a page its readers see, and where blanks stand between them: as `innerText` of browsers has it (WHATWG HTML, 3.2.7).

use scraper::node::Element;

/// Bytes of text kept on either side of an image.
pub(crate) const NEARBY: usize = 120;
/// The namespace of HTML's own elements.
const HTML: &str = "http://www.w3.org/1999/xhtml";

/// Whether the text in an element is none of the page's words: code, fallbacks, names of drawings, readings of ruby.
pub(crate) fn is_mute(name: &str) -> bool {
    matches!(name, "script" | "style" | "noscript" | "title" | "desc" | "textarea" | "rt" | "rp")
}

/// Whether what an element holds is not part of the page until a script takes it out. A declared shadow tree is.
pub(crate) fn is_inert(element: &Element) -> bool {
    element.name() == "template" && &*element.name.ns == HTML && element.attr("shadowrootmode").is_none()
}

/// Whether an element is HTML's own, and not one of a drawing or formula with the same name.
pub(crate) fn is_html(element: &Element) -> bool {
    &*element.name.ns == HTML
}

/// Whether words on both sides of an element's edge are two: so they are at blocks, cells and pictures, and not at `b` or `span`.
pub(crate) fn is_apart(name: &str) -> bool {
    matches!(name, "p" | "div" | "br" | "li" | "td" | "th" | "tr" | "img" | "hr" | "figcaption" | "figure" | "picture")
        || matches!(name, "address" | "article" | "aside" | "blockquote" | "body" | "caption" | "center" | "dd" | "details")
        || matches!(name, "dialog" | "dl" | "dt" | "fieldset" | "footer" | "form" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "head")
        || matches!(name, "header" | "hgroup" | "html" | "button" | "iframe" | "legend" | "main" | "menu" | "nav" | "object" | "ol")
        || matches!(name, "optgroup" | "option" | "pre" | "search" | "section" | "select" | "summary" | "table" | "tbody" | "tfoot")
        || matches!(name, "thead" | "ul" | "video" | "svg" | "textarea" | "title")
}

/// The words of a page so far, as far as images need them.
#[derive(Default)]
pub(crate) struct Prose {
    /// The last ones.
    pub(crate) before: String,
    /// Whether what comes next is set off.
    pub(crate) is_apart: bool,
}

impl Prose {
    /// Takes a text: what of it is more than blanks, and whether it is set off from what stood before.
    pub(crate) fn read<'a>(&mut self, text: &'a str) -> Option<(&'a str, bool)> {
        let words = text.trim();
        if words.is_empty() {
            self.is_apart |= !text.is_empty();
            return None;
        }
        let is_apart = self.is_apart || text.starts_with(char::is_whitespace);
        self.is_apart = text.ends_with(char::is_whitespace);
        push(&mut self.before, &words[words.ceil_char_boundary(words.len().saturating_sub(NEARBY))..], is_apart);
        let surplus = self.before.ceil_char_boundary(self.before.len().saturating_sub(NEARBY));
        self.before.drain(..surplus);
        Some((words, is_apart))
    }
}

/// Adds words to a text.
pub(crate) fn push(text: &mut String, words: &str, is_apart: bool) {
    if is_apart {
        text.push(' ');
    }
    text.push_str(words);
}
