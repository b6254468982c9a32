//! Everything of a corpus and its runs as tables, asked in SQL. Nothing is changed from here.

use crate::Error;
use crate::near::near;
use crate::parameters::{Bound, Parameters};
use crate::pitfalls;
use crate::place;
use crate::statement::{common_names, only, words};
use crate::tables::{Place, TABLES, Table};
use crate::views::meaning;
use crate::vocabulary::{FUNCTIONS, KEYWORDS};
use polars::prelude::*;
use polars::sql::SQLContext;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

/// Longest message of the engine's that is passed on, in characters.
const MAX_MESSAGE: usize = 300;

/// A corpus folder and a folder of runs, seen as tables. Each statement sees what is there when it begins: a crawl or a
/// training may go on meanwhile. Parquet is scanned as far as the statement needs; the catalogue's tables and those of
/// runs are read whole, when named.
pub struct Lake {
    place: Place,
    parameters: Parameters,
}

/// What is wrong with a statement, and at which byte of it, where that is known.
pub(crate) type Mistake = Box<(Error, Option<usize>)>;

impl Lake {
    /// Looks at these folders. Tables of a folder that is not given, or of files that do not exist yet, have no rows.
    ///
    /// # Errors
    /// `NoFolder` when a folder that is given is not there.
    pub fn open(corpus: Option<&Path>, runs: Option<&Path>) -> Result<Self, Error> {
        for (folder, holds) in [(corpus, "a corpus"), (runs, "the runs")] {
            if let Some(path) = folder.filter(|path| !path.is_dir()) {
                return Err(Error::NoFolder { path: path.to_path_buf(), holds });
            }
        }
        let place = Place { corpus: corpus.map(Path::to_path_buf), runs: runs.map(Path::to_path_buf), shards: Vec::new() };
        Ok(Lake { place, parameters: Parameters::default() })
    }

    /// Looks at these folders of shards too.
    ///
    /// # Errors
    /// `NoFolder` when one is not there.
    pub fn with_shards(mut self, folders: &[PathBuf]) -> Result<Self, Error> {
        if let Some(path) = folders.iter().find(|path| !path.is_dir()) {
            return Err(Error::NoFolder { path: path.clone(), holds: "shards with their manifest.parquet" });
        }
        self.place.shards = folders.to_vec();
        Ok(self)
    }

    /// The same tables, asked with these values for the `:name` of statements.
    pub fn with_parameters(&self, parameters: Parameters) -> Self {
        Lake { place: self.place.clone(), parameters }
    }

    /// The values for the `:name` of statements.
    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Answers one statement: `select`, `with`, `values`, `show tables`, `describe NAME` or `explain`.
    ///
    /// # Errors
    /// `ReadOnly` for a statement that would change something, `NoTable` and `NoColumn` with the names that were likely
    /// meant, `Statement` for anything else the engine refuses, and the errors of files that cannot be read.
    pub fn query(&self, sql: &str) -> Result<DataFrame, Error> {
        self.query_placed(sql).map_err(|mistake| mistake.0)
    }

    /// As [`Lake::query`]; a mistake comes with its offset in `sql`.
    pub(crate) fn query_placed(&self, sql: &str) -> Result<DataFrame, Mistake> {
        let statement = only(sql).map_err(|error| Box::new((error, None)))?;
        let shift = statement.as_ptr() as usize - sql.as_ptr() as usize;
        self.dispatch(statement).map_err(|mut mistake| {
            let at = mistake.1.or_else(|| place::of(statement, &mistake.0));
            mistake.1 = at.map(|at| at + shift);
            mistake
        })
    }

    fn dispatch(&self, statement: &str) -> Result<DataFrame, Mistake> {
        let refused = |word: String| {
            let near = near(&word, KEYWORDS.iter().copied().filter(|keyword| *keyword != word));
            let near = near.first().map(|keyword| format!(" (did you mean {keyword}?)")).unwrap_or_default();
            Err(Box::new((Error::ReadOnly { word, near }, None)))
        };
        let mut first = words(statement).map(str::to_lowercase);
        let word = first.next().unwrap_or_default();
        match word.as_str() {
            "select" | "with" | "values" | "from" => self.ask(statement),
            "explain" => match first.find(|word| word != "analyze" && word != "verbose").unwrap_or_default().as_str() {
                "select" | "with" | "values" | "from" => self.ask(statement),
                other => refused(format!("explain {other}").trim().to_string()),
            },
            "show" => self.tables().map_err(|error| Box::new((error, None))),
            "describe" | "desc" => {
                self.columns(words(statement).find(|word| !is_describe(word)).unwrap_or_default()).map_err(|error| Box::new((error, None)))
            }
            _ => refused(first_shown(statement, word)),
        }
    }

    /// The tables: name and what a row is.
    ///
    /// # Errors
    /// Never, as the columns are equally long; the type is that of all answers.
    pub fn tables(&self) -> Result<DataFrame, Error> {
        let names = Column::new("table".into(), TABLES.iter().map(|table| table.name).collect::<Vec<_>>());
        let about = Column::new("a row is".into(), TABLES.iter().map(|table| table.about).collect::<Vec<_>>());
        DataFrame::new(TABLES.len(), vec![names, about]).map_err(|error| Error::Statement { why: error.to_string() })
    }

    /// The columns of a table: name, type and meaning.
    ///
    /// # Errors
    /// `NoTable` with near names, and the errors of files that cannot be read.
    pub fn columns(&self, table: &str) -> Result<DataFrame, Error> {
        let found = find(table)?;
        let schema = self.schema(found)?;
        let names: Vec<&str> = schema.iter_names().map(PlSmallStr::as_str).collect();
        let types: Vec<String> = schema.iter_values().map(ToString::to_string).collect();
        let meanings: Vec<String> = names.iter().map(|column| meaning(found.name, column)).collect();
        let columns =
            vec![Column::new("column".into(), &names), Column::new("type".into(), types), Column::new("meaning".into(), meanings)];
        DataFrame::new(names.len(), columns).map_err(|error| Error::Statement { why: error.to_string() })
    }

    /// The columns of every table, for completion; none of a table that cannot be read.
    pub(crate) fn known_columns(&self) -> Vec<(&'static str, Vec<String>)> {
        TABLES.iter().map(|table| (table.name, table.column_names(&self.place).unwrap_or_default())).collect()
    }

    fn schema(&self, table: &Table) -> Result<SchemaRef, Error> {
        let failed = |source| Error::Table { table: table.name, path: self.place.corpus.clone().unwrap_or_default(), source };
        table.scan(&self.place)?.collect_schema().map_err(failed)
    }

    fn ask(&self, statement: &str) -> Result<DataFrame, Mistake> {
        let plain = |error| Box::new((error, None));
        if let Some(name) = common_names(statement).into_iter().find(|name| find(name).is_ok()) {
            return Err(plain(Error::NameTaken { name: name.to_string() }));
        }
        let bound = self.parameters.bind(statement).map_err(plain)?;
        pitfalls::check(&bound.text).map_err(plain)?;
        let mut context = SQLContext::new();
        let named: Vec<&Table> = TABLES.iter().filter(|table| words(statement).any(|word| word == table.name)).collect();
        for table in &named {
            context.register(table.name, table.scan(&self.place).map_err(plain)?);
        }
        // The engine still panics on a few statements that it cannot do; a typing error must not end the shell.
        let answer = std::panic::catch_unwind(AssertUnwindSafe(|| collect(&mut context, &bound.text)));
        match answer {
            Ok(Ok(frame)) => Ok(count_by_its_name(frame, statement)),
            Ok(Err(error)) => Err(self.explain(&error, &named, statement, &bound)),
            Err(panic) => Err(plain(Error::Statement { why: format!("the engine broke off: {}", panic_text(panic.as_ref())) })),
        }
    }

    /// The engine's message, with the place and the names that were likely meant.
    fn explain(&self, error: &PolarsError, named: &[&Table], statement: &str, bound: &Bound) -> Mistake {
        if let PolarsError::ComputeError(_) | PolarsError::IO { .. } = error
            && let Some(damage) = named.iter().find_map(|table| table.damage(&self.place))
        {
            return Box::new((damage, None));
        }
        let message = shorten(&error.to_string());
        let message = message.as_str();
        if message.starts_with("sql parser error: ") {
            return syntax(message, statement, bound);
        }
        if let Some(name) = between(message, "relation '", "' was not found") {
            return Box::new((find(name).err().unwrap_or_else(|| Error::Statement { why: message.to_string() }), None));
        }
        if let Some(name) = missing_column(message) {
            return Box::new((self.no_column(name, named), None));
        }
        let why = match (between(message, "duplicate output name '", "'"), between(message, "unsupported function '", "'")) {
            (Some(name), _) => format!("two columns of the answer are called {name}, name one of them with as"),
            (None, Some(name)) => match near(name, FUNCTIONS)[..] {
                [] => format!("there is no function '{name}'"),
                ref near => format!("there is no function '{name}': did you mean {}", near.join(" or ")),
            },
            (None, None) => message.to_string(),
        };
        Box::new((Error::Statement { why }, None))
    }

    fn no_column(&self, name: &str, named: &[&Table]) -> Error {
        let mut columns: Vec<(&str, String)> = Vec::new();
        for table in named {
            // A table whose columns cannot be read proposes none; the statement failed for another reason already.
            let names = self.schema(table).map(|schema| schema.iter_names().map(ToString::to_string).collect::<Vec<_>>());
            columns.extend(names.unwrap_or_default().into_iter().map(|column| (table.name, column)));
        }
        let meant = near(name, columns.iter().map(|(_, column)| column.as_str()));
        let whole = |(table, column): &(&str, String)| format!("{table}.{column}");
        let shown: Vec<String> = match meant[..] {
            [] => columns.iter().map(whole).collect(),
            _ => columns.iter().filter(|(_, column)| meant.contains(&column.as_str())).map(whole).collect(),
        };
        let near = match (meant.is_empty(), shown.is_empty()) {
            (_, true) => "the statement names no table".to_string(),
            (true, _) => format!("there are {}", shown.join(", ")),
            (false, _) => format!("did you mean {}", shown.join(" or ")),
        };
        Error::NoColumn { name: name.to_string(), near }
    }
}

/// Runs a statement, around two faults of the engine.
fn collect(context: &mut SQLContext, statement: &str) -> PolarsResult<DataFrame> {
    match context.execute(statement)?.collect() {
        // Its optimizer counts the rows of a union in a type that it cannot convert then; without it they are counted.
        Err(error) if error.to_string().contains("UInt128") => context.execute(statement)?.without_optimizations().collect(),
        // Without a table some functions give no row.
        Ok(frame) if frame.height() == 0 && pitfalls::has_no_table(statement) => {
            context.execute(&format!("{statement}\nfrom (select 1) no_table"))?.collect()
        }
        answer => answer,
    }
}

/// A message of the engine's parser, which ends in ` at Line: 1, Column: 8`, or speaks of the end of the text.
fn syntax(message: &str, statement: &str, bound: &Bound) -> Mistake {
    let said = message.trim_start_matches("sql parser error: ");
    let (why, place) = said.rsplit_once(" at Line: ").unwrap_or((said, ""));
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let place = place.split_once(", Column: ").and_then(|(line, column)| Some((number(line)?, number(column)?)));
    let at = place.map_or(statement.len(), |(line, column)| bound.source(place::offset(&bound.text, line, column)));
    // The parser says it in its own way: `Expected: an expression, found: from`.
    let mut why = why.replacen("Expected: ", "expected ", 1).replacen(", found: ", ", found ", 1).replace("found EOF", "found the end");
    if let Some(hint) = place::keyword_hint(statement, at) {
        why = format!("{why}; {hint}");
    }
    Box::new((Error::Syntax { why }, Some(at)))
}

/// The engine calls `count(*)` `len`, which nobody wrote.
fn count_by_its_name(mut frame: DataFrame, statement: &str) -> DataFrame {
    if !words(statement).any(|word| word == "len") && frame.column("count(*)").is_err() {
        // Refused only when there is no such column, which is most often so.
        let _ = frame.rename("len", "count(*)".into());
    }
    frame
}

fn is_describe(word: &str) -> bool {
    ["describe", "desc", "table"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// The first word, or the first character of a statement that has none.
fn first_shown(statement: &str, word: String) -> String {
    if word.is_empty() { statement.chars().take(1).collect() } else { word }
}

fn find(name: &str) -> Result<&'static Table, Error> {
    let unknown = || {
        let names = || TABLES.iter().map(|table| table.name);
        let near = match near(name, names())[..] {
            [] => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
            ref near => format!("did you mean {}", near.join(" or ")),
        };
        Error::NoTable { name: name.to_string(), near }
    };
    TABLES.iter().find(|table| table.name == name).ok_or_else(unknown)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inner, _)| inner)
}

/// The column that the engine's message misses.
fn missing_column(message: &str) -> Option<&str> {
    between(message, "unable to find column \"", "\"")
        .or_else(|| between(message, "no column named '", "'"))
        .or_else(|| between(message, "not found: \"", "\""))
        .or_else(|| message.strip_prefix("not found: ").map(|rest| rest.split([' ', ';']).next().unwrap_or(rest)))
}

/// The engine's message in one line, without the plan or syntax tree that it may append.
fn shorten(message: &str) -> String {
    let said = message.split("\n\nResolved plan").next().unwrap_or_default();
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it gave no reason")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::corpus;
    use crate::{Catalogue, Format, render};

    fn csv(lake: &Lake, statement: &str) -> String {
        let mut out = Vec::new();
        let mut frame = lake.query(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        render(&mut frame, Format::Csv, &mut out).expect("written");
        String::from_utf8(out).expect("text").replace("\r\n", "\n")
    }

    fn refused(lake: &Lake, statement: &str) -> String {
        lake.query(statement).map(|frame| frame.height()).expect_err(statement).to_string()
    }

    #[test]
    fn parquet_and_catalogue_join() {
        let corpus = corpus();
        let statement = "select q.text, c.seen, count(*) as n from (select unnest(query_ids) as id from candidates) x \
                         join queries q on q.id = x.id join counters c on c.query_id = q.id group by q.text, c.seen order by q.text";
        assert_eq!(csv(&corpus.lake(), statement), "text,seen,n\n\"a blue, square\",1,1\nred circle,4,4\n");
    }

    #[test]
    fn a_count_without_a_name_is_called_as_it_was_written() {
        let corpus = corpus();
        assert_eq!(csv(&corpus.lake(), "select count(*) from pairs"), "count(*)\n3\n");
        assert_eq!(csv(&corpus.lake(), "select count(*) as len from pairs"), "len\n3\n");
    }

    #[test]
    fn rows_of_a_union_are_counted() {
        let corpus = corpus();
        let statement = "select count(*) as n from (select caption from pairs union all select caption from pairs) x";
        assert_eq!(csv(&corpus.lake(), statement), "n\n6\n");
        assert!(refused(&corpus.lake(), "select sum(1) as n from pairs").contains("write count(*)"));
        assert_eq!(csv(&corpus.lake(), "select left('hello', 2) as a, strpos('hello', 'l') as b -- one"), "a,b\nhe,3\n");
    }

    #[test]
    fn segments_that_were_not_committed_are_not_seen() {
        let corpus = corpus();
        assert_eq!(csv(&corpus.lake(), "select count(*) as n from pairs"), "n\n3\n");
        for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
            let _ = std::fs::remove_file(corpus.path().join(name));
        }
        assert_eq!(csv(&corpus.lake(), "select count(*) as n from pairs"), "n\n4\n");
    }

    #[test]
    fn a_statement_sees_what_is_there_when_it_begins() {
        let corpus = corpus();
        let lake = corpus.lake();
        assert_eq!(csv(&lake, "select value from properties"), "value\nkept\n");
        Catalogue::open(&corpus.path().join("catalog.sqlite")).expect("opened").remember("state", "changed").expect("kept");
        assert_eq!(csv(&lake, "select value from properties"), "value\nchanged\n");
    }

    #[test]
    fn selections_and_runs_carry_their_names() {
        let corpus = corpus();
        let lake = corpus.lake();
        assert_eq!(csv(&lake, "select distinct selection from samples"), "selection\nfirst\n");
        assert_eq!(csv(&lake, "select run, model, lr from runs"), "run,model,lr\nsmall,small,0.001\n");
        assert_eq!(csv(&lake, "select run, min(loss) as loss from metrics group by run"), "run,loss\nsmall,1.5\n");
        assert_eq!(csv(&lake, "select run, file, top1 from evals"), "run,file,top1\nsmall,val.json,0.75\n");
        assert_eq!(csv(&lake, "select value from corpus where property = 'seed'"), "value\n18446744073709551615\n");
    }

    #[test]
    fn only_questions_are_answered() {
        let corpus = corpus();
        let lake = corpus.lake();
        for statement in [
            "delete from pairs",
            "drop table pairs",
            "truncate table pairs",
            "create table x as select 1",
            "-- hm\nInsert into pairs values (1)",
            "explain delete from pairs",
            "(",
            "copy pairs to 'x'",
        ] {
            assert!(refused(&lake, statement).contains("is refused"), "{statement}");
        }
        assert!(lake.query("explain select * from pairs").expect("answered").height() > 0);
        assert!(lake.query("values (1), (2)").is_ok() && lake.query("(select 1)").is_ok());
        assert!(csv(&lake, "show tables").contains("candidates,"));
        assert_eq!(
            csv(&lake, "describe table counters"),
            "column,type,meaning\nquery_id,u32,the query's number\nseen,i64,\"distinct pairs seen that match it, fetched or not: the n_q of the cap\"\n"
        );
        assert!(refused(&lake, "select 1; select 2").contains("found 2"));
    }

    #[test]
    fn wrong_names_meet_near_ones() {
        let corpus = corpus();
        let lake = corpus.lake();
        assert!(refused(&lake, "select * from candidats").contains("there is no table candidats: did you mean candidates"));
        assert!(refused(&lake, "select * from zebra").contains("there are candidates, class_results, corpus,"));
        assert!(refused(&lake, "select captoin from pairs").ends_with("did you mean pairs.caption"));
        assert!(refused(&lake, "select p.captoin from pairs p").ends_with("did you mean pairs.caption"));
        assert!(refused(&lake, "select seen from counters where qury_id = 1").ends_with("did you mean counters.query_id"));
        assert!(refused(&lake, "select zebra from outcomes").contains("there are outcomes.outcome, outcomes.count"));
        assert!(refused(&lake, "select flatness, abs(flatness) from pairs").contains("two columns of the answer are called flatness"));
        assert!(refused(&lake, "select exists (select 1 from pairs)").len() < MAX_MESSAGE + 50);
        assert!(refused(&lake, "describe host").ends_with("did you mean hosts"));
    }

    #[test]
    fn a_common_table_cannot_hide_a_table() {
        let corpus = corpus();
        let error = refused(&corpus.lake(), "with jobs as (select 1 as a) select * from jobs");
        assert!(error.contains("jobs is a table here"), "{error}");
    }

    #[test]
    fn nonsense_is_an_error() {
        let corpus = corpus();
        let lake = corpus.lake();
        for statement in
            ["select", "select from", "select * from pairs where", "select unnest(1)", "select substr() from pairs", "select 'a", ""]
        {
            assert!(!refused(&lake, statement).is_empty());
        }
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let corpus = corpus();
        std::fs::write(corpus.path().join("pool/00001.parquet"), "damaged").expect("written");
        let error = corpus.lake().query("select * from pairs").map(|_| ()).expect_err("refused");
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(format!("{error}: {cause}").contains("00001.parquet"), "{error}: {cause}");
        assert!(corpus.lake().query("select * from jobs").is_ok());
        assert!(matches!(Lake::open(Some(&corpus.path().join("none")), None), Err(Error::NoFolder { .. })));
    }

    #[test]
    fn a_folder_name_is_no_pattern() {
        let corpus = corpus();
        let odd = corpus.path().join("seed=7 * [x]");
        std::fs::create_dir_all(odd.join("pool")).expect("made");
        std::fs::copy(corpus.path().join("pool/00001.parquet"), odd.join("pool/00001.parquet")).expect("copied");
        let lake = Lake::open(Some(&odd), None).expect("opened");
        assert_eq!(csv(&lake, "select count(*) as n from pairs"), "n\n3\n");
        assert!(!csv(&lake, "describe pairs").contains("seed"));
    }
}
