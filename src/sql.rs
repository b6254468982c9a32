//! `diptych sql`: questions to a corpus, its shards and its runs.

use crate::cli::{self, TableFormat};
use crate::failure::Failure;
use shards::AtomicFile;
use sql::{Format, Lake, Parameters};
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Answers a statement, a file of them, or whatever is typed.
///
/// # Errors
/// Usage for parameters that do not fit; otherwise what the statements met.
pub fn run(flags: &cli::Sql) -> Result<(), Failure> {
    // The default folders may not be there yet; the tables that they would hold are empty then.
    let there = |folder: &'static str, path: &'_ Path| (path != Path::new(folder) || path.exists()).then(|| path.to_path_buf());
    let parameters = Parameters::parse(flags.param.iter().map(String::as_str)).map_err(|error| Failure::Usage(error.to_string()))?;
    let (corpus, runs, shards) = (there("corpus", &flags.corpus), there("runs", &flags.runs), shard_folders(&flags.shards));
    if corpus.is_none() && runs.is_none() && shards.is_empty() {
        eprintln!("there is neither corpus nor runs here, so all tables are empty: --corpus, --runs and --shards name folders elsewhere");
    }
    let lake = Lake::open(corpus.as_deref(), runs.as_deref())?.with_shards(&shards)?.with_parameters(parameters);
    let format = match flags.format {
        TableFormat::Table => Format::Table,
        TableFormat::Csv => Format::Csv,
        TableFormat::Json | TableFormat::Jsonl => Format::Json,
        TableFormat::Parquet => Format::Parquet,
    };
    if format == Format::Parquet && flags.out.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::Usage("--format parquet is no text for a terminal: add --out FILE".to_string()));
    }
    match &flags.out {
        Some(path) => {
            let mut file = AtomicFile::create(path)?;
            answer(&lake, flags, format, &mut file)?;
            Ok(file.commit()?)
        }
        None => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            answer(&lake, flags, format, &mut out)?;
            Ok(out.flush()?)
        }
    }
}

fn answer(lake: &Lake, flags: &cli::Sql, format: Format, out: &mut impl Write) -> Result<(), Failure> {
    let answered = match (&flags.command, &flags.file) {
        (Some(text), _) => lake.run_text(text, "-c", format, out),
        (None, Some(file)) => lake.run_file(file, format, out),
        (None, None) => lake.shell(format, out),
    };
    answered.map_err(|error| match error {
        sql::Error::UnusedParameter { .. } | sql::Error::OneAnswer { .. } => Failure::Usage(error.to_string()),
        error => error.into(),
    })
}

/// The folders given, or the Makefile's own place for shards when it is there.
pub fn shard_folders(given: &[PathBuf]) -> Vec<PathBuf> {
    let usual = PathBuf::from("corpus-shards");
    if given.is_empty() && usual.is_dir() { vec![usual] } else { given.to_vec() }
}
