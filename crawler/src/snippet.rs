//! The words of a piece of HTML as a reader sees them: apart where blocks end, without what is hidden.

use crate::prose::{is_apart, is_inert, is_mute};
use scraper::node::Element;
use scraper::{Html, Node};
use shards::clean_caption;

/// Bytes of HTML of which words are taken.
const MAX_HTML: usize = 16 << 10;

/// The words of a piece of HTML, in the form of captions.
pub(crate) fn words(html: &str) -> String {
    let html = &html[..html.floor_char_boundary(MAX_HTML)];
    if !html.contains(['<', '&']) {
        return clean_caption(html);
    }
    let fragment = Html::parse_fragment(html);
    let mut text = String::with_capacity(html.len());
    // A walk without recursion: nesting is as deep as its writer likes. True stands for the end of an element.
    let mut ahead = vec![(fragment.tree.root(), false)];
    while let Some((node, is_end)) = ahead.pop() {
        match node.value() {
            Node::Text(words) => text.push_str(words),
            Node::Element(element) if is_hidden(element) => continue,
            Node::Element(element) => part(element, &mut text),
            _ => {}
        }
        if !is_end && node.has_children() {
            ahead.push((node, true));
            ahead.extend(node.children().rev().map(|child| (child, false)));
        }
    }
    clean_caption(&text)
}

/// Parts an element from what is beside it, unless it stands within a line.
fn part(element: &Element, text: &mut String) {
    if is_apart(element.name()) {
        text.push(' ');
    }
}

fn is_hidden(element: &Element) -> bool {
    let style = element.attr("style").map(|style| style.to_ascii_lowercase().replace(char::is_whitespace, ""));
    is_mute(element.name())
        || is_inert(element)
        || element.attr("hidden").is_some()
        || style.is_some_and(|style| style.contains("display:none") || style.contains("visibility:hidden"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_apart_where_blocks_end() {
        for html in [
            "<p>red cat</p><p>blue dog</p>",
            "red cat<br>blue dog",
            "<ul><li>red cat</li><li>blue dog</li></ul>",
            "<table><tr><td>red cat</td><td>blue dog</td></tr></table>",
            "red cat<hr/>blue dog",
            "<div>red <b>c</b>at</div>blue <a href='x'>d</a>og",
        ] {
            assert_eq!(words(html), "red cat blue dog", "{html}");
        }
        assert_eq!(words("a &lt;b&gt; cat &amp; dog"), "a <b> cat & dog");
    }

    #[test]
    fn what_is_hidden_is_left_out() {
        for html in [
            "<style data-mw-deduplicate='x'>.y{color:red}</style><div class='description'>red cat</div>",
            "<bdi><a href='x'>red cat</a></bdi><span style=\"display: none;\">red <b>cat</b></span>",
            "<!-- c -->red cat<script>x()</script>",
            "red <span style='DISPLAY : none'><div>x</div></span>cat",
            "red <i hidden>x</i>cat",
        ] {
            assert_eq!(words(html), "red cat", "{html}");
        }
        let deep = format!("{}red cat", "<div>".repeat(3000));
        assert_eq!(words(&deep), "red cat");
    }
}
