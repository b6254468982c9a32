//! Pages that are XML, spelt so that a reader of HTML sees the same elements: in XML `<title/>` is closed, names may have a prefix, and
//! scripts may be marked as data.

use memchr::{memchr, memchr_iter, memmem};
use std::borrow::Cow;

/// The namespace whose prefix is taken off names.
const XHTML: &str = "http://www.w3.org/1999/xhtml";
/// Bytes in which a page says that it is XML, and which prefix it has.
const HEAD: usize = 4096;
/// Elements that HTML knows to be empty.
const VOID: [&str; 14] = ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];

/// A page as HTML; only what is XHTML changes.
pub(crate) fn as_html<'a>(text: Cow<'a, str>, content_type: Option<&str>) -> Cow<'a, str> {
    if is_xhtml(&text, content_type) { Cow::Owned(spelt(&text)) } else { text }
}

/// Whether a page is XHTML: by its content type, or by an XML declaration with an XHTML doctype.
fn is_xhtml(text: &str, content_type: Option<&str>) -> bool {
    let kind = content_type.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    let declared = || {
        let head = text[..text.floor_char_boundary(HEAD)].trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        head.starts_with("<?xml")
            && head.find("<!DOCTYPE").is_some_and(|at| head[at..].split('>').next().unwrap_or_default().contains("XHTML"))
    };
    kind.eq_ignore_ascii_case("application/xhtml+xml") || declared()
}

/// The text without comments and instructions, every element closed as HTML closes it.
fn spelt(text: &str) -> String {
    let prefix = prefix(text);
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut rest = text;
    while let Some(at) = memchr(b'<', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = if let Some(comment) = rest.strip_prefix("<!--") {
            cut(comment, "-->").1
        } else if let Some(data) = rest.strip_prefix("<![CDATA[") {
            let (data, after) = cut(data, "]]>");
            out.push_str(&data.replace('&', "&amp;").replace('<', "&lt;"));
            after
        } else if rest.starts_with("<?") {
            // Pages of word processors write instructions as tags.
            cut(rest, if memmem::find(rest.as_bytes(), b"?>").is_some() { "?>" } else { ">" }).1
        } else if let Some(name) = rest.strip_prefix("</") {
            out.push_str("</");
            name.strip_prefix(&prefix).unwrap_or(name)
        } else {
            element(rest, &prefix, &mut out)
        };
    }
    out.push_str(rest);
    out
}

/// What stands before a mark, and what behind it.
fn cut<'a>(text: &'a str, mark: &str) -> (&'a str, &'a str) {
    memmem::find(text.as_bytes(), mark.as_bytes()).map_or((text, ""), |at| (&text[..at], &text[at + mark.len()..]))
}

/// The prefix of XHTML's elements with its colon; empty where it is the usual namespace.
fn prefix(text: &str) -> String {
    let head = &text[..text.floor_char_boundary(HEAD)];
    let named = head.match_indices(XHTML).find_map(|(at, _)| {
        let before = head[..at].strip_suffix(['"', '\''])?.trim_end().strip_suffix('=')?.trim_end();
        let name = &before[before.rfind("xmlns:")? + "xmlns:".len()..];
        (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')).then(|| format!("{name}:"))
    });
    named.unwrap_or_default()
}

/// Writes the tag with which a text begins, closed if it closes itself; gives what follows. Code is left out.
fn element<'a>(text: &'a str, prefix: &str, out: &mut String) -> &'a str {
    if !text[1..].starts_with(|c: char| c.is_ascii_alphabetic()) {
        out.push('<');
        return &text[1..];
    }
    let Some(end) = tag_end(text) else {
        out.push_str(text);
        return "";
    };
    let (tag, after) = (&text[1..end], &text[end + 1..]);
    let (tag, is_closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
    let full = tag.split(|c: char| c.is_ascii_whitespace() || c == '/').next().unwrap_or_default();
    let tag = tag.strip_prefix(prefix).unwrap_or(tag);
    let name = full.strip_prefix(prefix).unwrap_or(full);
    out.push('<');
    out.push_str(tag);
    out.push('>');
    if is_closed && !VOID.contains(&name) {
        out.push_str("</");
        out.push_str(name);
        out.push('>');
    }
    if is_closed || !matches!(name, "script" | "style") {
        return after;
    }
    // In data marked as such, a tag is none.
    let code = after.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
    let code = code.strip_prefix("<![CDATA[").map_or(after, |data| cut(data, "]]>").1);
    let end = format!("</{full}");
    let ends = |at: &usize| code.as_bytes()[*at..].get(..end.len()).is_some_and(|text| text.eq_ignore_ascii_case(end.as_bytes()));
    memchr_iter(b'<', code.as_bytes()).find(ends).map_or(after, |at| &code[at..])
}

/// Where the first tag of a text ends: the first `>` outside quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    text.bytes().position(|byte| {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            _ => {}
        }
        quote.is_none() && byte == b'>'
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIND: Option<&str> = Some("Application/XHTML+xml; charset=utf-8");

    fn html(text: &str) -> String {
        as_html(Cow::Borrowed(text), KIND).into_owned()
    }

    #[test]
    fn what_closes_itself_is_closed() {
        assert_eq!(
            html("<title/><script src='a>b.js' /><p>a<br/></p><img alt='/'/>"),
            "<title></title><script src='a>b.js' ></script><p>a<br></p><img alt='/'>"
        );
        assert_eq!(html("<?xml version='1.0'?><!DOCTYPE html><a>1 &lt; 2</a >"), "<!DOCTYPE html><a>1 &lt; 2</a >");
    }

    #[test]
    fn code_and_comments_go_and_data_stays() {
        assert_eq!(html("<script><![CDATA[ x<!--<script> </script> ]]></script><i>a<!-- <b> -->b</i>"), "<script></script><i>ab</i>");
        assert_eq!(html("<style>a<b</style><p><![CDATA[a<b>&]]></p>"), "<style></style><p>a&lt;b>&amp;</p>");
    }

    #[test]
    fn prefixes_are_taken_off() {
        let text = "<h:html xmlns:h=\"http://www.w3.org/1999/xhtml\"><h:img src='y.jpg'/><svg:a/></h:html>";
        assert_eq!(html(text), "<html xmlns:h=\"http://www.w3.org/1999/xhtml\"><img src='y.jpg'><svg:a></svg:a></html>");
    }

    #[test]
    fn only_xhtml_changes() {
        let declared = "<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN'><title/>";
        assert!(as_html(Cow::Borrowed(declared), None).ends_with("<title></title>"));
        for plain in
            ["<title/>", "<?xml version='1.0'?><html><title/>", "<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN'><title/>"]
        {
            assert!(matches!(as_html(Cow::Borrowed(plain), Some("text/html")), Cow::Borrowed(_)), "{plain}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(<|</|/>|>|'|\"|<!--|-->|<!\\[CDATA\\[|\\]\\]>|<\\?|script|é|a| |xmlns:a='http://www.w3.org/1999/xhtml'){0,30}") {
            html(&text);
        }
    }
}
