//! Answers as text: a table to read, CSV for spreadsheets, JSON lines for programs. Nothing is left out but what a table's
//! width cuts off.

use crate::Error;
use polars::prelude::*;
use std::io::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Widest cell of a table, in terminal columns: a caption of usual length fits, a URL of kilobytes does not push
/// everything else off the screen.
const MAX_WIDTH: usize = 100;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns, cells cut at 100 columns, control characters escaped. For people.
    #[default]
    Table,
    /// RFC 4180: a header, lines end in CR LF, quotes where needed. Null is an empty cell, an empty string `""`; lists
    /// are JSON, bytes hex.
    Csv,
    /// One JSON object per line. Lists are arrays, bytes hex strings; numbers keep all their digits; NaN and infinities,
    /// which JSON lacks, are null.
    Json,
    /// A Parquet file with the answer's own types, for other programs. Not text: it goes into a file or pipe.
    Parquet,
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "table" => Ok(Format::Table),
            "csv" => Ok(Format::Csv),
            "json" | "jsonl" => Ok(Format::Json),
            "parquet" => Ok(Format::Parquet),
            _ => Err(format!("{name:?} is not table, csv, json, jsonl or parquet")),
        }
    }
}

/// Writes an answer.
///
/// # Errors
/// `Print` when `out` cannot be written, as when a pipe is closed.
pub fn render(frame: &mut DataFrame, format: Format, out: &mut impl Write) -> Result<(), Error> {
    frame.rechunk_mut();
    let written = match format {
        Format::Table => table(frame, out),
        Format::Csv => csv(frame, out),
        Format::Json => json_lines(frame, out),
        Format::Parquet => return parquet(frame, out),
    };
    written.and_then(|()| out.flush()).map_err(Error::Print)
}

fn parquet(frame: &mut DataFrame, out: &mut impl Write) -> Result<(), Error> {
    // The writer wants a file of its own for its lifetime; answers are in memory anyway.
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(frame).map_err(|error| Error::Parquet { why: error.to_string() })?;
    out.write_all(&bytes).and_then(|()| out.flush()).map_err(Error::Print)
}

fn cell(column: &Column, row: usize) -> AnyValue<'_> {
    column.get(row).unwrap_or(AnyValue::Null)
}

fn table(frame: &DataFrame, out: &mut impl Write) -> std::io::Result<()> {
    let columns: Vec<Vec<String>> = frame.columns().iter().map(table_column).collect();
    let widths: Vec<usize> = columns.iter().map(|cells| cells.iter().map(|cell| cell.width()).max().unwrap_or(0)).collect();
    let right: Vec<bool> = frame.columns().iter().map(|column| column.dtype().is_numeric()).collect();
    for row in 0..=frame.height() {
        let mut line = String::new();
        for (at, cells) in columns.iter().enumerate() {
            let blanks = " ".repeat(widths[at] - cells[row].width());
            let gap = if at == 0 { "" } else { " | " };
            line += &if right[at] { format!("{gap}{blanks}{}", cells[row]) } else { format!("{gap}{}{blanks}", cells[row]) };
        }
        writeln!(out, "{}", line.trim_end())?;
        if row == 0 {
            writeln!(out, "{}", widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("-+-"))?;
        }
    }
    writeln!(out, "({} {})", frame.height(), if frame.height() == 1 { "row" } else { "rows" })
}

/// A column's header and cells as they are shown.
fn table_column(column: &Column) -> Vec<String> {
    let cells = (0..column.len()).map(|row| cut(&plain(&cell(column, row))));
    std::iter::once(cut(column.name())).chain(cells).collect()
}

/// Text that cannot move the cursor, cut to the widest cell. Direction marks are escaped with control characters, since
/// they too reorder what stands beside them.
fn cut(text: &str) -> String {
    let mut shown = String::new();
    let mut width = 0;
    for c in text.chars() {
        let moves = c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let piece = if moves { c.escape_default().to_string() } else { c.to_string() };
        width += if moves { piece.len() } else { c.width().unwrap_or(0) };
        if width > MAX_WIDTH {
            while shown.width() >= MAX_WIDTH {
                shown.pop();
            }
            shown.push('…');
            return shown;
        }
        shown += &piece;
    }
    shown
}

fn csv(frame: &DataFrame, out: &mut impl Write) -> std::io::Result<()> {
    let header: Vec<String> = frame.columns().iter().map(|column| quoted(column.name())).collect();
    write!(out, "{}\r\n", header.join(","))?;
    for row in 0..frame.height() {
        for (at, column) in frame.columns().iter().enumerate() {
            let value = cell(column, row);
            let text = if value.is_null() { String::new() } else { quoted(&plain(&value)) };
            write!(out, "{}{text}", if at == 0 { "" } else { "," })?;
        }
        write!(out, "\r\n")?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && !text.contains(['"', ',', '\r', '\n']) && text.trim() == text;
    if plain { text.to_string() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

fn json_lines(frame: &DataFrame, out: &mut impl Write) -> std::io::Result<()> {
    for row in 0..frame.height() {
        let members = frame.columns().iter().map(|column| format!("{}:{}", json_text(column.name()), json(&cell(column, row))));
        writeln!(out, "{{{}}}", members.collect::<Vec<_>>().join(","))?;
    }
    Ok(())
}

/// A value as text: strings as they are, null empty, numbers with all digits, anything nested as JSON.
fn plain(value: &AnyValue) -> String {
    match value {
        AnyValue::Null => String::new(),
        AnyValue::String(text) => (*text).to_string(),
        AnyValue::StringOwned(text) => text.to_string(),
        AnyValue::Binary(bytes) => hex(bytes),
        AnyValue::BinaryOwned(bytes) => hex(bytes),
        AnyValue::Float32(x) if !x.is_finite() => x.to_string(),
        AnyValue::Float64(x) if !x.is_finite() => x.to_string(),
        value if is_json(value) => json(value),
        value => value.to_string(),
    }
}

/// Whether a value has a form of its own in JSON, other than a string.
fn is_json(value: &AnyValue) -> bool {
    let nested = matches!(value, AnyValue::List(_) | AnyValue::Array(..) | AnyValue::Struct(..) | AnyValue::StructOwned(_));
    nested || matches!(value, AnyValue::Boolean(_)) || value.is_primitive_numeric()
}

fn json(value: &AnyValue) -> String {
    match value {
        AnyValue::Null => "null".to_string(),
        AnyValue::Boolean(flag) => flag.to_string(),
        AnyValue::Float32(x) => serde_json::to_string(x).unwrap_or_default(),
        AnyValue::Float64(x) => serde_json::to_string(x).unwrap_or_default(),
        AnyValue::List(items) | AnyValue::Array(items, _) => {
            format!("[{}]", items.iter().map(|item| json(&item)).collect::<Vec<_>>().join(","))
        }
        AnyValue::Struct(_, _, fields) => json_object(fields.iter().map(|field| field.name().as_str()).zip(value._iter_struct_av())),
        AnyValue::StructOwned(parts) => json_object(parts.1.iter().map(|field| field.name().as_str()).zip(parts.0.iter().cloned())),
        value if value.is_primitive_numeric() => value.to_string(),
        value => json_text(&plain(value)),
    }
}

fn json_object<'a>(members: impl Iterator<Item = (&'a str, AnyValue<'a>)>) -> String {
    let members = members.map(|(name, value)| format!("{}:{}", json_text(name), json(&value)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> DataFrame {
        let lists = [Series::new("".into(), [1_u32, 2]), Series::new_empty("".into(), &DataType::UInt32)];
        DataFrame::new(
            2,
            vec![
                Column::new("text".into(), [Some("a \"b\", c\nd"), None]),
                Column::new("hash".into(), [u64::MAX, 7]),
                Column::new("share".into(), [0.1_f32, f32::NAN]),
                Column::new("ids".into(), lists),
                Column::new("bytes".into(), [&b"\x00\xff"[..], b""]),
                Column::new("flag".into(), [true, false]),
            ],
        )
        .expect("equal lengths")
    }

    fn rendered(mut frame: DataFrame, format: Format) -> String {
        let mut out = Vec::new();
        render(&mut frame, format, &mut out).expect("written");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn csv_is_rfc_4180() {
        let expected = "text,hash,share,ids,bytes,flag\r\n\"a \"\"b\"\", c\nd\",18446744073709551615,0.1,\"[1,2]\",00ff,true\r\n,7,NaN,[],\"\",false\r\n";
        assert_eq!(rendered(frame(), Format::Csv), expected);
    }

    #[test]
    fn json_keeps_digits_and_lists() {
        let text = rendered(frame(), Format::Json);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], r#"{"text":"a \"b\", c\nd","hash":18446744073709551615,"share":0.1,"ids":[1,2],"bytes":"00ff","flag":true}"#);
        assert_eq!(lines[1], r#"{"text":null,"hash":7,"share":null,"ids":[],"bytes":"","flag":false}"#);
        let read: serde_json::Value = serde_json::from_str(lines[0]).expect("json");
        assert_eq!(read["hash"].as_u64(), Some(u64::MAX));
    }

    #[test]
    fn parquet_keeps_types() {
        let mut out = Vec::new();
        render(&mut frame(), Format::Parquet, &mut out).expect("written");
        let read = ParquetReader::new(std::io::Cursor::new(out)).finish().expect("read");
        assert_eq!(read.schema(), frame().schema());
        assert_eq!(read.column("hash").expect("there").u64().expect("u64").get(0), Some(u64::MAX));
    }

    #[test]
    fn table_is_aligned_and_cannot_move_the_cursor() {
        let hostile = Column::new("caption".into(), ["\u{1b}[2J\u{202e}x", "犬と猫"]);
        let text = rendered(DataFrame::new(2, vec![hostile, Column::new("n".into(), [5, 12345])]).expect("equal"), Format::Table);
        let expected = "caption                |     n\n\
                        -------------------+------\n\
                        \\u{1b}[2J\\u{202e}x     |     5\n\
                        犬と猫                 | 12345\n\
                        (2 rows)\n";
        assert_eq!(text.replace(' ', ""), expected.replace(' ', ""));
        let bars: Vec<usize> = text.lines().filter_map(|line| line.find('|').map(|at| line[..at].width())).collect();
        assert!(bars.len() == 3 && bars.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }

    #[test]
    fn long_cells_are_cut_in_tables_only() {
        let long = "é".repeat(5000);
        let frame = || DataFrame::new(1, vec![Column::new("a".into(), [long.as_str()])]).expect("equal");
        let shown = rendered(frame(), Format::Table);
        assert!(shown.contains('…') && shown.lines().all(|line| line.width() <= MAX_WIDTH));
        assert!(rendered(frame(), Format::Csv).contains(&long));
    }

    #[test]
    fn an_empty_answer_has_its_header() {
        let none = || frame().head(Some(0));
        assert!(rendered(none(), Format::Table).ends_with("(0 rows)\n"));
        assert_eq!(rendered(none(), Format::Csv).lines().count(), 1);
        assert_eq!(rendered(none(), Format::Json), "");
    }
}
