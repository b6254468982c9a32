//! `diptych sql`: questions to a corpus and its runs.

use crate::cli::{self, TableFormat};
use crate::failure::Failure;
use sql::{Format, Lake};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Answers a statement, a file of them, or whatever is typed.
///
/// # Errors
/// What the statements met.
pub fn run(flags: &cli::Sql) -> Result<(), Failure> {
    // The default folders may not be there yet; the tables that they would hold are empty then.
    let there = |folder: &'static str, path: &'_ Path| (path != Path::new(folder) || path.exists()).then(|| path.to_path_buf());
    let lake = Lake::open(there("corpus", &flags.corpus).as_deref(), there("runs", &flags.runs).as_deref())?;
    let format = match flags.format {
        TableFormat::Table => Format::Table,
        TableFormat::Csv => Format::Csv,
        TableFormat::Json => Format::Json,
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    match (&flags.command, &flags.file) {
        (Some(text), _) => lake.run_text(text, "-c", format, &mut out)?,
        (None, Some(file)) => lake.run_file(file, format, &mut out)?,
        (None, None) => lake.shell(format, &mut out)?,
    }
    Ok(out.flush()?)
}
