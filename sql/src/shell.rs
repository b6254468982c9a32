//! Statements from a file, from standard input, or typed: cut at semicolons, answered in order.

use crate::complete::Names;
use crate::near::near;
use crate::place;
use crate::statement::split;
use crate::{Error, Format, INSPECTIONS, Inspection, Lake, Parameters, render};
use polars::prelude::{Column, DataFrame};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Editor};
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

const HELP: &str = "\\d         tables\n\\d NAME    columns of a table\n\\i         questions worth asking\n\\i NAME    the answer to one; NAME=VALUE behind it for those that ask for a value\n\\q         leave; so do quit and exit\n\\?         this help\n\
                    A statement ends with a semicolon and may take several lines.\n";
/// Lines of history kept.
const HISTORY: usize = 1000;

impl Lake {
    /// Runs the statements of a file in order, writing each answer to `out`.
    ///
    /// # Errors
    /// `Io` when the file cannot be read; `InText` with the file, the line and the cause of the first statement that
    /// fails. What follows it is not run.
    pub fn run_file(&self, path: &Path, format: Format, out: &mut impl Write) -> Result<(), Error> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        self.run_text(&text, &path.display().to_string(), format, out)
    }

    /// As [`Lake::run_file`], for text that came from `origin`, which messages name.
    ///
    /// # Errors
    /// As [`Lake::run_file`]; also `UnusedParameter` for a value that no statement asks for, and `OneAnswer` for several
    /// statements as Parquet. Both come before anything is run.
    pub fn run_text(&self, text: &str, origin: &str, format: Format, out: &mut impl Write) -> Result<(), Error> {
        let origin = Origin { name: origin, text, first: 1 };
        let (mut statements, rest) = split(text).map_err(|error| origin.mistake(text, (error, Some(text.trim_end().len()))))?;
        if !rest.is_empty() {
            // The last statement of a text needs no semicolon.
            statements.push((0, rest));
        }
        self.parameters().check_used(text)?;
        if format == Format::Parquet && statements.len() > 1 {
            return Err(Error::OneAnswer { found: statements.len() });
        }
        statements.into_iter().try_for_each(|(_, statement)| self.answer(statement, &origin, format, out))
    }

    fn answer(&self, statement: &str, origin: &Origin, format: Format, out: &mut impl Write) -> Result<(), Error> {
        let mut frame = self.query_placed(statement).map_err(|mistake| origin.mistake(statement, *mistake))?;
        render(&mut frame, format, out)
    }

    /// Reads statements from standard input until it ends. On a terminal with prompt, history and `\d`, an error is
    /// printed and the next statement asked for; otherwise the first error ends it.
    ///
    /// # Errors
    /// `Terminal` when the terminal cannot be read, `Print` when `out` cannot be written; without a terminal also those
    /// of [`Lake::run_text`].
    pub fn shell(&self, format: Format, out: &mut impl Write) -> Result<(), Error> {
        if std::io::stdin().is_terminal() { self.type_in(format, out) } else { self.read_in(std::io::stdin().lock(), format, out) }
    }

    fn type_in(&self, format: Format, out: &mut impl Write) -> Result<(), Error> {
        let config = Config::builder()
            .auto_add_history(false)
            .completion_type(CompletionType::List)
            .max_history_size(HISTORY)
            .map_err(Error::Terminal)?
            .build();
        let mut editor: Editor<Names, DefaultHistory> = Editor::with_config(config).map_err(Error::Terminal)?;
        editor.set_helper(Some(Names::of(self)));
        let history = history_file();
        // History is a convenience: a cache that cannot be read or written is no reason to stop.
        let _ = history.as_ref().map(|file| editor.load_history(file));
        write!(out, "{HELP}").map_err(Error::Print)?;
        let mut session = Session::new(self, format);
        let mut typed = String::new();
        loop {
            // Help and messages are to be seen before the next prompt.
            out.flush().map_err(Error::Print)?;
            if let Some(names) = editor.helper_mut() {
                names.before.clone_from(&session.pending);
            }
            let line = match editor.readline(if session.pending.is_empty() { "diptych> " } else { "      -> " }) {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) => {
                    session.pending.clear();
                    typed.clear();
                    continue;
                }
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(Error::Terminal(error)),
            };
            typed += &line;
            let next = session.line(&line, out);
            // A statement of several lines is one entry, so that it comes back whole.
            if session.pending.is_empty() {
                let _ = editor.add_history_entry(std::mem::take(&mut typed));
            } else {
                typed.push('\n');
            }
            match next {
                Ok(Next::Read) => {}
                Ok(Next::Leave) => break,
                Err(error @ Error::Print(_)) => return Err(error),
                Err(error) => writeln!(out, "{}", chain(&error)).map_err(Error::Print)?,
            }
        }
        let _ = history.as_ref().map(|file| editor.save_history(file));
        Ok(())
    }

    fn read_in(&self, input: impl BufRead, format: Format, out: &mut impl Write) -> Result<(), Error> {
        let mut session = Session::new(self, format);
        session.name = "standard input";
        for line in input.lines() {
            let line = line.map_err(Error::io("read", Path::new("standard input")))?;
            if let Next::Leave = session.line(&line, out)? {
                return Ok(());
            }
        }
        let rest = std::mem::take(&mut session.pending);
        let origin = Origin { name: session.name, text: &rest, first: session.begun };
        let (_, statement) = split(&rest).map_err(|error| origin.mistake(&rest, (error, None)))?;
        if statement.is_empty() { Ok(()) } else { self.answer(statement, &origin, format, out) }
    }
}

/// A text that statements are cut from, for messages.
struct Origin<'a> {
    name: &'a str,
    text: &'a str,
    /// The line of `name` on which `text` begins, counted from 1.
    first: usize,
}

impl Origin<'_> {
    /// The error with its place: `statement` is a part of the text, the mistake's offset lies in it.
    fn mistake(&self, statement: &str, (error, at): (Error, Option<usize>)) -> Error {
        let begin = (statement.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len());
        let (line, column) = place::line_and_column(self.text, begin + at.unwrap_or(0));
        let place = at.map(|at| format!(", column {column}, at {}", place::word_at(statement, at))).unwrap_or_default();
        Error::InText { origin: self.name.to_string(), line: self.first + line - 1, place, source: Box::new(error) }
    }
}

/// What to do after a line.
enum Next {
    Read,
    Leave,
}

/// Lines on their way to statements.
struct Session<'a> {
    lake: &'a Lake,
    format: Format,
    /// What was read of a statement that is not complete.
    pending: String,
    /// The line on which it begins, counted from 1.
    begun: usize,
    /// Lines read.
    lines: usize,
    /// Where lines come from, for messages.
    name: &'static str,
}

impl<'a> Session<'a> {
    fn new(lake: &'a Lake, format: Format) -> Self {
        Session { lake, format, pending: String::new(), begun: 1, lines: 0, name: "your statement" }
    }

    /// Takes a line: a command when no statement is begun, else text whose complete statements are answered.
    fn line(&mut self, line: &str, out: &mut impl Write) -> Result<Next, Error> {
        self.lines += 1;
        if self.pending.trim().is_empty() {
            // On a terminal each statement is counted from its own first line.
            self.begun = if self.name == "standard input" { self.lines } else { 1 };
            self.pending.clear();
            if line.trim_start().starts_with('\\') {
                return self.command(line.trim(), out);
            }
            // What people type who do not know the commands yet; none of them begins a statement.
            match line.trim().trim_end_matches(';').to_lowercase().as_str() {
                "quit" | "exit" => return Ok(Next::Leave),
                "help" | "?" => return self.command("\\?", out),
                _ => {}
            }
        }
        self.pending += line;
        self.pending.push('\n');
        let text = std::mem::take(&mut self.pending);
        let (statements, rest) = match split(&text) {
            Ok(parts) => parts,
            // A string or comment may go on in the next line.
            Err(_) => {
                self.pending = text;
                return Ok(Next::Read);
            }
        };
        let origin = Origin { name: self.name, text: &text, first: self.begun };
        if !rest.is_empty() {
            let (line, _) = place::line_and_column(&text, text.trim_end().len() - rest.len());
            self.begun += line - 1;
            self.pending = format!("{rest}\n");
        }
        for (_, statement) in statements {
            self.lake.answer(statement, &origin, self.format, out)?;
        }
        Ok(Next::Read)
    }

    fn command(&self, command: &str, out: &mut impl Write) -> Result<Next, Error> {
        let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        match (name, argument.trim().trim_end_matches(';')) {
            ("\\q", _) => return Ok(Next::Leave),
            ("\\d", "") => render(&mut self.lake.tables()?, self.format, out)?,
            ("\\d", table) => render(&mut self.lake.columns(table)?, self.format, out)?,
            ("\\i", "") => render(&mut questions()?, self.format, out)?,
            ("\\i", question) => {
                let mut words = question.split_whitespace();
                let name = words.next().unwrap_or_default();
                let unknown = || Error::NoInspection { name: name.to_string(), near: near_question(name) };
                let inspection = Inspection::find(name).ok_or_else(unknown)?;
                let lake = self.lake.with_parameters(Parameters::parse(words)?);
                lake.run_text(inspection.text, name, self.format, out)?;
            }
            ("\\?" | "\\h" | "\\help", _) => write!(out, "{HELP}").map_err(Error::Print)?,
            (other, _) => return Err(Error::NoCommand { name: other.to_string() }),
        }
        Ok(Next::Read)
    }
}

fn near_question(name: &str) -> String {
    let near = near(name, INSPECTIONS.iter().map(|inspection| inspection.name));
    if near.is_empty() { "\\i lists them".to_string() } else { format!("did you mean {}", near.join(" or ")) }
}

/// The questions worth asking, as an answer.
fn questions() -> Result<DataFrame, Error> {
    let names = Column::new("name".into(), INSPECTIONS.iter().map(|inspection| inspection.name).collect::<Vec<_>>());
    let questions = Column::new("question".into(), INSPECTIONS.iter().map(Inspection::question).collect::<Vec<_>>());
    DataFrame::new(INSPECTIONS.len(), vec![names, questions]).map_err(|error| Error::Statement { why: error.to_string() })
}

/// An error with its causes, as one line.
fn chain(error: &Error) -> String {
    let mut text = format!("error: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// The file that keeps typed lines, in the user's cache folder, which is made when missing.
fn history_file() -> Option<PathBuf> {
    let folder = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))?.join("diptych");
    std::fs::create_dir_all(&cache).ok()?;
    Some(cache.join("sql-history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &str) -> (Result<(), Error>, String) {
        let mut out = Vec::new();
        let lake = Lake::open(None, None).expect("nothing to open");
        let result = lake.read_in(input.as_bytes(), Format::Csv, &mut out);
        (result, String::from_utf8(out).expect("text"))
    }

    #[test]
    fn statements_take_lines_and_commands_stand_between() {
        let (result, out) = read("select 1\n  as a; select 2 as b;\n\\d pairs\nselect ';\n\\d' as c;\n\\q\nselect 3 as d;");
        result.expect("answered");
        assert!(out.starts_with("a\r\n1\r\nb\r\n2\r\ncolumn,type,meaning\r\n"), "{out}");
        assert!(out.contains("perceptual_hash,u64,near for") && out.ends_with("c\r\n\";\n\\d\"\r\n"), "{out}");
    }

    #[test]
    fn the_last_statement_needs_no_semicolon() {
        let (result, out) = read("select 1 as a;\nselect 2 as b\n-- end");
        result.expect("answered");
        assert_eq!(out, "a\r\n1\r\nb\r\n2\r\n");
    }

    #[test]
    fn the_first_error_ends_a_script_and_names_its_line() {
        let (result, out) = read("select 1 as a;\n\nselect * from piars;\nselect 2 as b;");
        assert_eq!(out, "a\r\n1\r\n");
        let text = chain(&result.expect_err("refused"));
        assert!(text.contains("standard input, line 3, column 15, at \"piars\"") && text.contains("did you mean pairs"), "{text}");
    }

    #[test]
    fn a_file_names_the_line_of_what_failed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.sql");
        let lake = Lake::open(None, None).expect("nothing to open");
        let mut out = Vec::new();
        std::fs::write(&path, "-- two\nselect 1 as a;\n\n\nselect x from pairs  -- last\n").expect("written");
        let text = chain(&lake.run_file(&path, Format::Csv, &mut out).expect_err("refused"));
        assert!(text.contains("a.sql, line 5, column 8, at \"x\"") && text.contains("no column x"), "{text}");
        std::fs::write(&path, "select 'open").expect("written");
        assert!(chain(&lake.run_file(&path, Format::Csv, &mut out).expect_err("refused")).contains("within a string"));
        assert!(lake.run_file(&dir.path().join("none"), Format::Csv, &mut out).is_err());
    }

    #[test]
    fn questions_are_asked_by_name() {
        assert!(read("\\i\n").1.contains("pairs_per_query,Which queries"));
        assert_eq!(read("\\i fields\n").1, "field,seen,matched,fetched\r\n");
        assert!(chain(&read("\\i field\n").0.expect_err("refused")).contains("no question field: did you mean fields"));
    }

    #[test]
    fn a_command_that_is_none_is_said_so_and_help_is_at_hand() {
        for ask in ["\\?\n", "help\n"] {
            assert!(read(ask).1.contains("\\d NAME"));
        }
        let (result, out) = read("select 1 as a;\n\\x\nselect 2 as b;\n");
        assert_eq!(out, "a\r\n1\r\n");
        assert!(chain(&result.expect_err("refused")).contains("no command \\x"));
        for leave in ["quit", "EXIT;", "\\q"] {
            let (result, out) = read(&format!("select 1 as a;\n{leave}\nselect 2 as b;\n"));
            result.expect("left");
            assert_eq!(out, "a\r\n1\r\n", "{leave}");
        }
        assert!(chain(&read("\\d piars\n").0.expect_err("refused")).contains("did you mean pairs"));
    }
}
