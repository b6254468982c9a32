//! Statements that the engine answers, but wrongly: they are refused with what to write instead.
//!
//! Found by asking another engine the same. Words and brackets are enough to see them; what is not seen here is the engine's to answer.

use crate::Error;
use crate::statement::{Token, Tokens};

/// Aggregates that come to another number for a constant than for a column of it.
const SUMS: [&str; 2] = ["sum", "total"];
const SUBSTRINGS: [&str; 2] = ["substr", "substring"];

/// Refuses a statement that would be answered wrongly.
///
/// # Errors
/// `Statement` that says what to write.
pub(crate) fn check(statement: &str) -> Result<(), Error> {
    let tokens: Vec<(Token, &str)> = Tokens::of(statement).flatten().map(|(token, span)| (token, &statement[span])).collect();
    let found = where_without_from(&tokens).or_else(|| (0..tokens.len()).find_map(|at| call(&tokens, at)));
    found.map_or(Ok(()), |why| Err(Error::Statement { why }))
}

/// Whether a select has no table and nothing else that would leave rows out.
pub(crate) fn has_no_table(statement: &str) -> bool {
    let leaves_out = ["from", "where", "limit", "offset", "union", "except", "intersect", "having", "qualify"];
    let (mut depth, mut is_select) = (0usize, None);
    for (token, _) in Tokens::of(statement).flatten() {
        match token {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth = depth.saturating_sub(1),
            // `substring(a from 2)` has no table either.
            token if depth == 0 && is_word(token, &leaves_out) => return false,
            _ => {}
        }
        is_select.get_or_insert(is_word(token, &["select"]));
    }
    is_select == Some(true)
}

fn is_word(token: Token, words: &[&str]) -> bool {
    matches!(token, Token::Word(word) if words.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// Without a table the engine leaves a condition out of account.
fn where_without_from(tokens: &[(Token, &str)]) -> Option<String> {
    // For each open bracket, whether a select in it has no from so far.
    let mut bare = vec![false];
    for (token, _) in tokens {
        match token {
            Token::Sign('(') => bare.push(false),
            Token::Sign(')') if bare.len() > 1 => _ = bare.pop(),
            Token::Semicolon | Token::Sign(_) => {}
            token => {
                let last = bare.last_mut()?;
                if is_word(*token, &["select"]) {
                    *last = true;
                } else if is_word(*token, &["from"]) {
                    *last = false;
                } else if is_word(*token, &["where"]) && *last {
                    return Some("where is not looked at in a select without from: add from (select 1) t".to_string());
                }
            }
        }
    }
    None
}

/// A call of a function at `at` that is wrong for some of its arguments.
fn call(tokens: &[(Token, &str)], at: usize) -> Option<String> {
    let (name, text) = tokens[at];
    if tokens.get(at + 1)?.0 != Token::Sign('(') {
        return None;
    }
    let arguments = arguments(&tokens[at + 2..]);
    match &arguments[..] {
        [only] if is_word(name, &SUMS) && is_constant(only) => {
            let constant: String = only.iter().map(|(_, text)| *text).collect();
            let times = if constant == "1" { String::new() } else { format!(" * {constant}") };
            Some(format!("{text} of a constant is counted once, not for each row: write count(*){times}"))
        }
        [_, start] if is_word(name, &SUBSTRINGS) && !is_whole_number(start) => Some(format!(
            "{text} of two arguments takes a number from 1 on only: right(TEXT, N) is the end of a text, {text}(TEXT, START, LENGTH) takes a \
             column or a sum as START"
        )),
        _ => None,
    }
}

/// The arguments of a call whose tokens begin behind its bracket.
fn arguments<'t, 's>(tokens: &'t [(Token<'s>, &'s str)]) -> Vec<&'t [(Token<'s>, &'s str)]> {
    let (mut depth, mut from, mut found) = (0usize, 0, Vec::new());
    for (at, (token, _)) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[') => depth += 1,
            Token::Sign(')') if depth == 0 => {
                found.push(&tokens[from..at]);
                return found;
            }
            Token::Sign(')' | ']') => depth = depth.saturating_sub(1),
            Token::Sign(',') if depth == 0 => {
                found.push(&tokens[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    // It is never closed, which the engine says better.
    Vec::new()
}

fn is_whole_number(tokens: &[(Token, &str)]) -> bool {
    matches!(tokens, [(Token::Word(_), text)] if text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Numbers and signs only, such as `-1.5`.
fn is_constant(tokens: &[(Token, &str)]) -> bool {
    let is_number = |token: &Token| matches!(token, Token::Word(word) if word.starts_with(|c: char| c.is_ascii_digit()));
    tokens.iter().any(|(token, _)| is_number(token))
        && tokens.iter().all(|(token, _)| is_number(token) || matches!(token, Token::Sign('-' | '+' | '.' | '*' | '/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(statement: &str) -> String {
        check(statement).expect_err(statement).to_string()
    }

    #[test]
    fn wrong_answers_are_refused_with_what_to_write() {
        assert!(why("select outcome, sum(1) as n from candidates group by outcome").contains("write count(*)"));
        assert!(why("select SUM( -1.5 ) from pairs").contains("write count(*) * -1.5"));
        assert!(why("select substr('hello', -2)").contains("right(TEXT, N)"));
        assert!(why("select substring(caption, length(outcome)) from pairs").contains("START"));
        for statement in [
            "select 1 as a where 1=2",
            "select * from (select 1 as a where false) x",
            "with a as (select 1 as b where 1=2) select * from a",
            "select * from pairs union select 1 where 1=2",
        ] {
            assert!(why(statement).contains("from (select 1) t"), "{statement}");
        }
    }

    #[test]
    fn a_select_may_have_no_table() {
        assert!(has_no_table("select left('from', 2) as a, substring('abc' from 2 for 1), 1 -- from x"));
        assert!(!has_no_table("select 1 from pairs") && !has_no_table("values (1)") && !has_no_table("select 1 limit 0"));
    }

    #[test]
    fn all_else_is_left_to_the_engine() {
        for statement in [
            "select sum(seen), sum(seen * 2), sum(case when a = 1 then 1 else 0 end), count(1) from counters where seen > 1",
            "select substr('hello', 2), substr('a(b', 1), substr(caption, -2, 3), substr(caption, id, 2) from pairs",
            "select count(*) filter (where outcome = 'ok') as n from candidates",
            "select a from (select 1 as a) x where a in (select id from queries where id > 0)",
            "select sum(1",
            "select 'where sum(1)' as \"sum(1)\" -- where",
            "values (1), (2)",
            ")))",
        ] {
            assert!(check(statement).is_ok(), "{statement}");
        }
    }
}
