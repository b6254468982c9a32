//! Where in a statement a mistake stands: a line, a column and a word that people can look at.

use crate::Error;
use crate::near::near;
use crate::statement::{Token, Tokens};
use crate::vocabulary::KEYWORDS;

/// The offset of the mistake that `error` speaks of, if the statement shows it.
pub(crate) fn of(statement: &str, error: &Error) -> Option<usize> {
    match error {
        Error::NoTable { name, .. } | Error::NoColumn { name, .. } | Error::NameTaken { name } => find(statement, name),
        Error::NoParameter { name, .. } => find(statement, name),
        Error::ReadOnly { word, .. } => find(statement, word.split(' ').next_back().unwrap_or(word)),
        Error::Statement { why } => why.split('\'').skip(1).step_by(2).find_map(|name| find(statement, name)),
        _ => None,
    }
}

/// The offset of the first word that is `name`; of `table.name`, that of the last part.
fn find(statement: &str, name: &str) -> Option<usize> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_it = |token: &Token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(last));
    Tokens::of(statement).flatten().find(|(token, _)| is_it(token)).map(|(_, span)| span.start)
}

/// The offset of a line and column, both counted from 1, columns in characters; the end when there is no such place.
pub(crate) fn offset(text: &str, line: usize, column: usize) -> usize {
    let start = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
    let rest = &text[start.min(text.len())..];
    start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
}

/// The line and column of an offset, both counted from 1, columns in characters.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (1 + before.matches('\n').count(), 1 + before[start..].chars().count())
}

/// The word or sign at an offset; `the end` behind the last one.
pub(crate) fn word_at(text: &str, offset: usize) -> String {
    let token = Tokens::of(text).flatten().find(|(_, span)| span.end > offset);
    token.map_or("the end".to_string(), |(_, span)| format!("{:?}", &text[span]))
}

/// A keyword that the word at `offset`, or the one before it, may have been meant for: `form` before `pairs`.
pub(crate) fn keyword_hint(statement: &str, offset: usize) -> Option<String> {
    let words = Tokens::of(statement).flatten().filter_map(|(token, span)| match token {
        Token::Word(word) if span.start <= offset => Some(word),
        _ => None,
    });
    let last: Vec<&str> = words.collect();
    last.iter().rev().take(2).find_map(|word| {
        let known = KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word));
        let meant = near(word, KEYWORDS.iter().copied()).first().copied().filter(|meant| meant.len().abs_diff(word.len()) < 3);
        meant.filter(|_| !known && word.len() > 2).map(|meant| format!("did you mean {meant} for {word}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_lines_are_the_same_places() {
        let text = "select é,\n  from x";
        for (at, _) in text.char_indices() {
            let (line, column) = line_and_column(text, at);
            assert_eq!(offset(text, line, column), at);
        }
        assert_eq!(offset(text, 1, 99), text.len());
        assert_eq!(offset(text, 9, 1), text.len());
    }

    #[test]
    fn words_and_hints() {
        let text = "select a form pairs";
        assert_eq!(word_at(text, text.find("pairs").expect("there")), "\"pairs\"");
        assert_eq!(word_at(text, text.len()), "the end");
        assert_eq!(keyword_hint(text, text.find("pairs").expect("there")).as_deref(), Some("did you mean from for form"));
        assert_eq!(keyword_hint("select a from pairs whre", 20).as_deref(), Some("did you mean where for whre"));
        assert_eq!(keyword_hint("select a from pairs", 14), None);
    }
}
