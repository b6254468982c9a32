//! `diptych sql`: questions to a corpus and its runs.

use crate::cli::{self, TableFormat};
use crate::failure::Failure;
use sql::{Format, Lake};
use std::io::{BufWriter, Write};

/// Answers a statement, a file of them, or whatever is typed.
///
/// # Errors
/// What the statements met.
pub fn run(flags: &cli::Sql) -> Result<(), Failure> {
    let lake = Lake::open(Some(&flags.corpus), Some(&flags.runs))?;
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
