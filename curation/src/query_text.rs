//! The form of queries: how a text of any source becomes an entry of the list.

use crate::Rule;
use crate::folded::fold;
use unicode_normalization::UnicodeNormalization;

/// The longest query, in characters: MetaCLIP 2's limit (arXiv 2507.22062, published code).
pub const MAX_QUERY_CHARS: usize = 256;

/// Brings a text into the form of queries of this rule: folded, or NFC with capitals kept; single blanks. `None` when it is empty or a
/// lone ASCII sign, as published for MetaCLIP.
///
/// # Errors
/// What is wrong with a text that is too long or holds control characters.
pub fn query_text(text: &str, rule: Rule) -> Result<Option<String>, String> {
    let form = if rule.is_cased() { text.nfc().collect() } else { fold(text) };
    let text = form.split_whitespace().collect::<Vec<_>>().join(" ");
    let chars = text.chars().count();
    if chars > MAX_QUERY_CHARS {
        return Err(format!("a query has at most {MAX_QUERY_CHARS} characters, this one has {chars}"));
    }
    if text.contains(char::is_control) {
        return Err("holds a control character".to_string());
    }
    let sign = chars == 1 && text.starts_with(|c: char| c.is_ascii_punctuation());
    Ok(Some(text).filter(|text| !text.is_empty() && !sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_queries() {
        let query = |text, rule| query_text(text, rule).expect("a query");
        assert_eq!(query(" New\u{A0} York ", Rule::Folded).as_deref(), Some("new york"));
        assert_eq!(query("Cafe\u{301}  Ｘ", Rule::Metaclip1).as_deref(), Some("Café Ｘ"));
        for nothing in ["", " \t", "-", " , "] {
            assert_eq!(query(nothing, Rule::Folded), None);
        }
        assert_eq!(query("🐈", Rule::Folded).as_deref(), Some("🐈"));
        assert!(query_text(&"a".repeat(257), Rule::Folded).is_err());
        assert!(query_text("a\u{7}b", Rule::Folded).is_err());
    }
}
