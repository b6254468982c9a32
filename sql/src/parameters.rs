//! Values for the `:name` of a statement, put in as literals: text in quotes with its quotes doubled, so that no value can end
//! its literal and become SQL.

use crate::Error;
use crate::near::near;
use crate::statement::{Token, Tokens, is_word};
use std::collections::{BTreeMap, BTreeSet};

/// From here on not every whole number is one of 64 bits, and the engine takes what has no point for one.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Values by name.
#[derive(Clone, Debug, Default)]
pub struct Parameters(BTreeMap<String, String>);

/// A statement with its values, and which place of it came from where.
pub(crate) struct Bound {
    /// The statement as the engine reads it.
    pub(crate) text: String,
    /// Offsets at which pieces begin, in `text` and in the statement as it was written.
    pieces: Vec<(usize, usize)>,
}

impl Parameters {
    /// Reads `NAME=VALUE` texts; a later value of a name counts.
    ///
    /// # Errors
    /// `BadParameter` when one is not of this form.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut values = BTreeMap::new();
        for text in texts {
            let bad = || Error::BadParameter { text: text.to_string() };
            let (name, value) = text.split_once('=').ok_or_else(bad)?;
            if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') || !name.chars().all(is_word) {
                return Err(bad());
            }
            values.insert(name.to_string(), value.to_string());
        }
        Ok(Parameters(values))
    }

    /// Fails for a value that `text`, all statements together, never asks for: a mistyped name would change nothing.
    pub(crate) fn check_used(&self, text: &str) -> Result<(), Error> {
        let asked: BTreeSet<&str> = places(text).into_iter().map(|(name, _, _)| name).collect();
        let unused = self.0.keys().find(|name| !asked.contains(name.as_str()));
        unused.map_or(Ok(()), |name| {
            let asked: Vec<String> = asked.iter().map(|name| format!(":{name}")).collect();
            let asked = if asked.is_empty() { "no :name is asked for".to_string() } else { format!("asked for are {}", asked.join(", ")) };
            Err(Error::UnusedParameter { name: name.clone(), asked })
        })
    }

    /// Puts the values into a statement.
    ///
    /// # Errors
    /// `NoParameter` for a name without a value.
    pub(crate) fn bind(&self, statement: &str) -> Result<Bound, Error> {
        let mut bound = Bound { text: String::new(), pieces: vec![(0, 0)] };
        let mut from = 0;
        for (name, start, end) in places(statement) {
            let value = self.0.get(name).ok_or_else(|| self.missing(name))?;
            bound.text += &statement[from..start];
            bound.pieces.push((bound.text.len(), start));
            bound.text += &literal(value);
            bound.pieces.push((bound.text.len(), end));
            from = end;
        }
        bound.text += &statement[from..];
        Ok(bound)
    }

    fn missing(&self, name: &str) -> Error {
        let near = match near(name, self.0.keys().map(String::as_str))[..] {
            [] => String::new(),
            ref near => format!(" (given: {})", near.join(", ")),
        };
        Error::NoParameter { name: name.to_string(), near }
    }
}

impl Bound {
    /// The place in the statement as it was written.
    pub(crate) fn source(&self, offset: usize) -> usize {
        let piece = self.pieces.iter().rev().find(|(start, _)| *start <= offset);
        piece.map_or(offset, |(start, source)| source + (offset - start))
    }
}

/// The `:name` of a text outside strings and comments: name, start and end. `::` is a cast.
fn places(text: &str) -> Vec<(&str, usize, usize)> {
    let mut found = Vec::new();
    let mut colon: Option<usize> = None;
    for (token, span) in Tokens::of(text).flatten() {
        let is_colon = token == Token::Sign(':');
        if let (Token::Word(word), Some(start)) = (token, colon) {
            // A quoted name is longer than its word; a name begins with a letter, so that `a[1:2]` has none.
            let plain = span.len() == word.len() && word.starts_with(|c: char| c.is_alphabetic() || c == '_');
            if plain && start + 1 == span.start && !text[..start].ends_with(':') {
                found.push((word, start, span.end));
            }
        }
        colon = is_colon.then_some(span.start);
    }
    found
}

/// A number as it is, in brackets when negative; text in quotes. Text that is quoted already is always text.
fn literal(value: &str) -> String {
    match number(value) {
        Some(number) if number.starts_with('-') => format!("({number})"),
        Some(number) => number,
        None => {
            let text = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(value);
            format!("'{}'", text.replace('\'', "''"))
        }
    }
}

/// A number as the engine reads it: `1e5` is written out. Ids such as 007 are text.
fn number(value: &str) -> Option<String> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let canonical = !digits.starts_with('0') || digits == "0" || digits.starts_with("0.");
    let (mantissa, exponent) = digits.split_once(['e', 'E']).map_or((digits, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let plain = mantissa.starts_with(|c: char| c.is_ascii_digit())
        && mantissa.ends_with(|c: char| c.is_ascii_digit())
        && mantissa.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number = value.parse::<f64>().ok().filter(|number| number.is_finite() && plain && canonical)?;
    // Hex digits may look so too, but not with so small an exponent.
    match exponent.map(|exponent| exponent.trim_start_matches(['+', '-']).len()) {
        None => Some(value.to_string()),
        Some(1..=3) if number.abs() < WHOLE => Some(number.to_string()),
        Some(1..=3) => Some(format!("{number}.0")),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(statement: &str, given: &[&str]) -> Result<String, Error> {
        Ok(Parameters::parse(given.iter().copied())?.bind(statement)?.text)
    }

    #[test]
    fn values_become_literals_outside_strings_and_comments() {
        let text = "select ':a', x::text -- :a\nfrom t where y = :a and z>:b /* :a */ and \":a\" = :a";
        let expected = "select ':a', x::text -- :a\nfrom t where y = 'it''s' and z>(-5) /* :a */ and \":a\" = 'it''s'";
        assert_eq!(bound(text, &["a=it's", "b=-5"]).expect("bound"), expected);
    }

    #[test]
    fn no_value_becomes_sql() {
        for hostile in
            ["'; drop table x; --", "' or '1'='1", "1 or 1", "1; select 2", "1e5000", "e5", "1e", "0x10", "", "007", "1.", "-", "NaN", "''"]
        {
            let text = bound("select :v", &[&format!("v={hostile}")]).expect("bound");
            let literal = &text["select ".len()..];
            assert!(literal.starts_with('\'') && literal.ends_with('\''), "{literal}");
            assert_eq!(literal[1..literal.len() - 1].replace("''", "").matches('\'').count(), 0, "{literal}");
            assert_eq!(crate::statement::only(&text).expect("one"), text);
        }
        let numbers = [
            ("5", "5"),
            ("-5", "(-5)"),
            ("0.25", "0.25"),
            ("1e5", "100000"),
            ("-2.5E-3", "(-0.0025)"),
            ("1e16", "10000000000000000.0"),
            ("'5'", "'5'"),
            ("a=b", "'a=b'"),
        ];
        for (value, shown) in numbers {
            assert_eq!(bound(":v", &[&format!("v={value}")]).expect("bound"), shown);
        }
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        let error = bound("select :word", &["wrd=1"]).expect_err("refused").to_string();
        assert!(error.contains("--param word=VALUE (given: wrd)"), "{error}");
        let given = Parameters::parse(["a=1", "b=2"]).expect("read");
        let error = given.check_used("select :a; select ':b'").expect_err("refused").to_string();
        assert!(error.contains("--param b") && error.contains(":a"), "{error}");
        for bad in ["a", "=1", "1a=1", "a b=1"] {
            assert!(matches!(Parameters::parse([bad]), Err(Error::BadParameter { .. })), "{bad}");
        }
    }

    #[test]
    fn places_are_found_in_what_was_written() {
        let statement = "select :long, :b from nowhere";
        let bound = Parameters::parse(["long=0123456789", "b=1"]).expect("read").bind(statement).expect("bound");
        let at = bound.text.find("nowhere").expect("there");
        assert_eq!(&statement[bound.source(at)..], "nowhere");
        assert_eq!(&statement[bound.source(7)..][..5], ":long");
    }
}
