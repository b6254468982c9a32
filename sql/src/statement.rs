//! Just enough of SQL's grammar to cut a text into statements and to see which names they speak. The engine parses for real.

use crate::Error;
use std::ops::Range;

/// A piece of SQL text that matters here; blanks, comments and strings do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A keyword or a name, without its quotes.
    Word(&'a str),
    /// Any other visible character outside quotes, except the semicolon.
    Sign(char),
    /// The end of a statement.
    Semicolon,
}

/// Tokens with where they lie, in bytes. A string or comment that is never closed is the last item, an error.
pub(crate) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    /// Where the token of the last call began.
    start: usize,
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Tokens { text, at: 0, start: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Moves behind the next `end`, which stands `skip` bytes ahead or later.
    fn close(&mut self, skip: usize, end: &str, within: &'static str) -> Result<(), Error> {
        let found = self.rest().get(skip..).and_then(|rest| rest.find(end));
        self.at = found.map_or(self.text.len(), |offset| self.at + skip + offset + end.len());
        found.map(|_| ()).ok_or(Error::Unclosed { within })
    }

    /// Moves behind a block comment; they nest.
    fn close_comment(&mut self) -> Result<(), Error> {
        let mut depth = 0_usize;
        while let Some(offset) = self.rest().find(['/', '*']) {
            self.at += offset;
            let step = match self.rest() {
                rest if rest.starts_with("/*") => {
                    depth += 1;
                    2
                }
                rest if rest.starts_with("*/") => {
                    depth -= 1;
                    2
                }
                _ => 1,
            };
            self.at += step;
            if depth == 0 {
                return Ok(());
            }
        }
        self.at = self.text.len();
        Err(Error::Unclosed { within: "a comment" })
    }

    /// Moves behind blanks and comments.
    fn skip_blanks(&mut self) -> Result<(), Error> {
        loop {
            let rest = self.rest();
            if rest.starts_with("--") {
                self.at += rest.find('\n').map_or(rest.len(), |offset| offset + 1);
            } else if rest.starts_with("/*") {
                self.close_comment()?;
            } else if rest.starts_with(char::is_whitespace) {
                self.at += rest.len() - rest.trim_start().len();
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Option<Token<'a>>, Error> {
        self.skip_blanks()?;
        let start = self.at;
        self.start = start;
        let Some(first) = self.rest().chars().next() else { return Ok(None) };
        let token = match first {
            '\'' => {
                // A doubled quote closes one string and opens the next, which comes to the same here.
                self.close(1, "'", "a string")?;
                Token::Sign('\'')
            }
            '"' | '`' => {
                self.close(1, if first == '"' { "\"" } else { "`" }, "a quoted name")?;
                Token::Word(&self.text[start + 1..self.at - 1])
            }
            ';' => {
                self.at += 1;
                Token::Semicolon
            }
            c if is_word(c) => {
                let rest = self.rest();
                self.at += rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                Token::Word(&self.text[start..self.at])
            }
            c => {
                self.at += c.len_utf8();
                Token::Sign(c)
            }
        };
        Ok(Some(token))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<(Token<'a>, Range<usize>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.token().transpose().map(|token| token.map(|token| (token, self.start..self.at)))
    }
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Whole statements with their first lines, and the rest of the text.
type Statements<'a> = (Vec<(usize, &'a str)>, &'a str);

/// The statements of a text, each with the line it begins on (counted from 1) and without its semicolon, and what
/// follows the last semicolon: empty if that is only blanks and comments, else a statement that is not complete.
///
/// # Errors
/// `Unclosed` when the text ends within a string, a quoted name or a comment.
pub(crate) fn split(text: &str) -> Result<Statements<'_>, Error> {
    let mut statements = Vec::new();
    let (mut start, mut empty) = (0, true);
    for token in Tokens::of(text) {
        match token? {
            (Token::Semicolon, Range { end, .. }) => {
                if !empty {
                    let blank = text[start..].len() - text[start..].trim_start().len();
                    let line = 1 + text[..start + blank].matches('\n').count();
                    statements.push((line, text[start..end - 1].trim()));
                }
                (start, empty) = (end, true);
            }
            _ => empty = false,
        }
    }
    Ok((statements, if empty { "" } else { text[start..].trim() }))
}

/// The one statement of a text; a semicolon at its end is left out.
///
/// # Errors
/// `Empty` or `Several` when there is not exactly one, `Unclosed` as [`split`].
pub(crate) fn only(text: &str) -> Result<&str, Error> {
    let (mut statements, rest) = split(text)?;
    if !rest.is_empty() {
        statements.push((0, rest));
    }
    match statements[..] {
        [] => Err(Error::Empty),
        [(_, statement)] => Ok(statement),
        _ => Err(Error::Several { found: statements.len() }),
    }
}

/// Keywords and names of a statement, in order.
pub(crate) fn words(statement: &str) -> impl Iterator<Item = &str> {
    Tokens::of(statement).flatten().filter_map(|(token, _)| match token {
        Token::Word(word) => Some(word),
        _ => None,
    })
}

/// Names that the statement gives to common table expressions: NAME before `as (` or `(...) as (`.
pub(crate) fn common_names(statement: &str) -> Vec<&str> {
    let tokens: Vec<Token> = Tokens::of(statement).flatten().map(|(token, _)| token).collect();
    if !tokens.iter().any(|token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case("with"))) {
        return Vec::new();
    }
    let opens = |at: usize| {
        let is_as = matches!(tokens.get(at), Some(Token::Word(word)) if word.eq_ignore_ascii_case("as"));
        is_as && tokens.get(at + 1) == Some(&Token::Sign('('))
    };
    let named = tokens.iter().enumerate().filter_map(|(at, token)| match token {
        Token::Word(word) if opens(after_columns(&tokens, at + 1)) => Some(*word),
        _ => None,
    });
    named.collect()
}

/// The position behind a list in brackets that begins at `at`, or `at`.
fn after_columns(tokens: &[Token], at: usize) -> usize {
    if tokens.get(at) != Some(&Token::Sign('(')) {
        return at;
    }
    let close = tokens[at..].iter().position(|&token| token == Token::Sign(')'));
    close.map_or(at, |offset| at + offset + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        split(text).expect("closed").0.into_iter().map(|(_, statement)| statement).collect()
    }

    #[test]
    fn semicolons_in_quotes_and_comments_cut_nothing() {
        let text = "select ';', 'it''s;' -- ; no\nfrom a; /* ; /* ; */ ; */ select \";\" from `;`;\n; select 3";
        assert_eq!(cut(text).len(), 2);
        assert_eq!(cut(text)[0], "select ';', 'it''s;' -- ; no\nfrom a");
        assert_eq!(split(text).expect("closed").1, "select 3");
        assert_eq!(split("select 1; -- done").expect("closed").1, "");
    }

    #[test]
    fn statements_know_their_line() {
        let (statements, _) = split("select 1;\n\n-- two\nselect\n2;select 3;").expect("closed");
        assert_eq!(statements.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3, 5]);
    }

    #[test]
    fn says_what_is_not_closed() {
        for (text, within) in [("select 'a", "a string"), ("select \"a", "a quoted name"), ("select /* /* */ 1", "a comment")] {
            let error = split(text).expect_err("refused").to_string();
            assert!(error.contains(within), "{error}");
        }
    }

    #[test]
    fn one_statement_is_one() {
        assert_eq!(only(" select 1 ; ").expect("one"), "select 1");
        assert!(matches!(only("select 1; select 2"), Err(Error::Several { found: 2 })));
        assert!(matches!(only(" -- nothing\n;"), Err(Error::Empty)));
    }

    #[test]
    fn names_are_seen_outside_strings_only() {
        let seen: Vec<&str> = words("select 'pairs' from \"jobs\" j -- pages\nwhere größe>1").collect();
        assert_eq!(seen, ["select", "from", "jobs", "j", "where", "größe", "1"]);
    }

    #[test]
    fn finds_names_of_common_tables() {
        let text = "with a as (select 1), b(x, y) as (select 2), \"c d\" as (select cast(z as text) from t) select * from a as e";
        assert_eq!(common_names(text), ["a", "b", "c d"]);
        assert!(common_names("select cast(a as text), b as c from t").is_empty());
    }

    #[test]
    fn any_text_is_cut_without_panic() {
        for text in ["é';", "/*", "*/;", "'", "--", "\"é", "a;;;b", "/*/", "\u{2028};x"] {
            let _ = split(text);
            let _ = common_names(text);
            assert!(words(text).count() < 10);
        }
    }
}
