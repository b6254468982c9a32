//! What the Tab key proposes: tables where a table stands, columns of the tables that the statement names, and keywords.

use crate::near::MAX_CHARS;
use crate::statement::{Token, Tokens, is_word};
use crate::vocabulary::{FUNCTIONS, KEYWORDS};
use crate::{INSPECTIONS, Lake};
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

/// What a statement may begin with.
const BEGINNINGS: [&str; 6] = ["select", "with", "values", "explain", "describe", "show tables"];

/// Tables and their columns, as the shell knew them when it began.
pub(crate) struct Names {
    tables: Vec<(&'static str, Vec<String>)>,
    /// Lines of the statement before the one that is typed.
    pub(crate) before: String,
}

impl Names {
    /// The names of a lake. A table that cannot be read proposes no columns.
    pub(crate) fn of(lake: &Lake) -> Self {
        Names { tables: lake.known_columns(), before: String::new() }
    }

    /// Where the word at the end of `typed` begins, and what it may become.
    pub(crate) fn complete(&self, typed: &str) -> (usize, Vec<String>) {
        let start = typed.char_indices().rev().find(|(_, c)| !is_word(*c)).map_or(0, |(at, c)| at + c.len_utf8());
        let (head, word) = (&typed[..start], typed[start..].to_lowercase());
        if word.chars().count() > MAX_CHARS {
            return (start, Vec::new());
        }
        let begins = |name: &&str| name.starts_with(&word);
        let names: Vec<&str> = if self.before.trim().is_empty() && head.trim_start().starts_with('\\') {
            match head.trim() {
                "\\d" => self.table_names().collect(),
                "\\i" => INSPECTIONS.iter().map(|inspection| inspection.name).collect(),
                _ => Vec::new(),
            }
        } else if let Some(qualified) = head.strip_suffix('.') {
            self.columns_of(qualified.rsplit(|c| !is_word(c)).next().unwrap_or_default(), typed)
        } else if self.stands_after_from(head) {
            self.table_names().collect()
        } else if Tokens::of(&format!("{}{head}", self.before)).next().is_none() {
            BEGINNINGS.to_vec()
        } else {
            let text = format!("{}{typed}", self.before);
            let named: Vec<&str> = words(&text).collect();
            let named_tables = self.tables.iter().filter(|(table, _)| named.iter().any(|word| word == table));
            let mut names: Vec<&str> = named_tables.flat_map(|(_, columns)| columns).map(String::as_str).collect();
            names.extend(self.table_names());
            names.extend(FUNCTIONS);
            names.extend(KEYWORDS);
            names
        };
        let mut found: Vec<String> = names.into_iter().filter(begins).map(str::to_string).collect();
        let mut seen = std::collections::HashSet::new();
        found.retain(|name| seen.insert(name.clone()));
        (start, found)
    }

    fn table_names(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().map(|(name, _)| *name)
    }

    fn stands_after_from(&self, head: &str) -> bool {
        let text = format!("{}{head}", self.before);
        let last = Tokens::of(&text).flatten().last();
        matches!(last, Some((Token::Word(word), _)) if ["from", "join", "describe", "table"].iter().any(|known| word.eq_ignore_ascii_case(known)))
    }

    /// The columns of a table, or of the table that `name` is an alias of: `from TABLE [as] name`.
    fn columns_of<'a>(&'a self, name: &str, typed: &str) -> Vec<&'a str> {
        let text = format!("{}{typed}", self.before);
        let all: Vec<&str> = words(&text).filter(|word| !word.eq_ignore_ascii_case("as")).collect();
        let alias = all.windows(2).find(|pair| pair[1] == name && self.table_names().any(|table| table == pair[0])).map(|pair| pair[0]);
        let table = alias.unwrap_or(name);
        self.tables.iter().filter(|(known, _)| *known == table).flat_map(|(_, columns)| columns.iter().map(String::as_str)).collect()
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    Tokens::of(text).flatten().filter_map(|(token, _)| match token {
        Token::Word(word) => Some(word),
        _ => None,
    })
}

impl Completer for Names {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(Names::complete(self, &line[..pos]))
    }
}

impl Hinter for Names {
    type Hint = String;
}
impl Highlighter for Names {}
impl Validator for Names {}
impl Helper for Names {}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(before: &str, typed: &str) -> Vec<String> {
        let mut names = Names::of(&Lake::open(None, None).expect("nothing to open"));
        names.before = before.to_string();
        let (start, found) = names.complete(typed);
        found.into_iter().map(|name| format!("{}{name}", &typed[..start])).collect()
    }

    #[test]
    fn tables_stand_after_from() {
        assert_eq!(complete("", "select * from can"), ["select * from candidates"]);
        assert!(complete("select *\nfrom\n", "").len() > 15);
        assert_eq!(complete("", "\\d cand"), ["\\d candidates"]);
        assert_eq!(complete("", "\\i fie"), ["\\i fields"]);
    }

    #[test]
    fn columns_are_those_of_the_tables_named() {
        assert_eq!(complete("select *\nfrom pairs\n", "where perc"), ["where perceptual_hash"]);
        assert_eq!(complete("", "select * from pairs p where p.flat"), ["select * from pairs p where p.flatness"]);
        assert_eq!(complete("", "select * from pairs as p join hosts h on h.ho"), ["select * from pairs as p join hosts h on h.host"]);
        assert_eq!(complete("", "select * from pairs where pairs.capt"), ["select * from pairs where pairs.caption"]);
        assert!(complete("", "select perceptual_h").is_empty());
    }

    #[test]
    fn keywords_and_functions_stand_anywhere_else() {
        assert_eq!(complete("", "sel"), ["select"]);
        assert_eq!(complete("", "select split_"), ["select split_part"]);
        assert_eq!(complete("", "SEL"), ["select"]);
        assert!(complete("", &"x".repeat(5000)).is_empty());
    }
}
