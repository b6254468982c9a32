//! URL lists: image addresses with captions in Parquet, CSV, TSV or JSON lines, cut into stretches of rows.
//!
//! A stretch can be read on its own, from its offset, so that a list of any length is never in memory.

use crate::Error;
use crate::csv::{Lines, Record, Records};
use polars::io::SerReader;
use polars::io::parquet::read::ParquetReader;
use polars::prelude::DataType;
use serde::{Deserialize, Serialize};
use shards::clean_caption;
use std::fs::File;
use std::path::{Path, PathBuf};
use url::Url;

/// Longest address taken; longer ones are junk or not worth their place in every table.
const MAX_URL: usize = 4096;
/// Names under which lists keep addresses: img2dataset's, LAION's and Conceptual Captions' among them.
const URL_COLUMNS: [&str; 4] = ["url", "image_url", "image", "link"];
/// Names under which lists keep captions.
const CAPTION_COLUMNS: [&str; 4] = ["caption", "text", "alt", "alt_text"];
/// Lines of a JSON list looked through for one that shows its columns.
const MAX_PEEK: usize = 1000;

/// Reads `text`, relative to `base` if there is one, as the address of something on the web: http or https, without
/// credentials, of bearable length.
pub(crate) fn web_url(base: Option<&Url>, text: &str) -> Option<Url> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_URL {
        return None;
    }
    let mut url = Url::options().base_url(base).parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) || url.as_str().len() > MAX_URL {
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
    }
    Some(url)
}

/// The format of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    Parquet,
    Csv,
    Tsv,
    Jsonl,
}

impl Format {
    /// The format that the file's name says.
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "parquet" | "parq" | "pq" => Some(Format::Parquet),
            "csv" => Some(Format::Csv),
            "tsv" | "tab" => Some(Format::Tsv),
            "jsonl" | "ndjson" | "json" => Some(Format::Jsonl),
            _ => None,
        }
    }

    fn delimiter(self) -> u8 {
        if self == Format::Tsv { b'\t' } else { b',' }
    }
}

/// Consecutive rows of a list: the input of a `Plan` job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stretch {
    file: PathBuf,
    /// Size of the file when it was cut, in bytes.
    size: u64,
    format: Format,
    /// The columns read.
    url: String,
    caption: String,
    /// Rows before it.
    pub(crate) first: u64,
    /// Its number of rows.
    pub(crate) rows: u64,
    /// Where its first row begins, in bytes; 0 for Parquet, which is read by row.
    offset: u64,
}

/// A row of a list.
#[derive(Debug, PartialEq)]
pub(crate) enum Row {
    /// An address and a cleaned caption.
    Pair(Url, String),
    /// Why there is no pair: `no-url`, `bad-url`, `no-caption`, `malformed`.
    Bad(&'static str),
}

/// Cuts a list into stretches of `rows` rows, up to `limit` rows in all.
///
/// # Errors
/// `List` when the file cannot be read, its format is not known, or a column is missing.
pub(crate) fn cut(path: &Path, url: Option<&str>, caption: Option<&str>, limit: Option<u64>, rows: u64) -> Result<Vec<Stretch>, Error> {
    let list = |why: String| Error::List { path: path.to_path_buf(), why };
    let io = |error: std::io::Error| list(error.to_string());
    let format = Format::of(path).ok_or_else(|| list("expected a name ending in .parquet, .csv, .tsv or .jsonl".to_string()))?;
    let size = std::fs::metadata(path).map_err(io)?.len();
    let columns = columns_of(path, format)?;
    let find = |asked: Option<&str>, usual: &[&str], what: &str| match asked {
        Some(name) => columns.iter().find(|column| *column == name).ok_or_else(|| format!("has no column {name:?}, only {columns:?}")),
        None => usual
            .iter()
            .find_map(|name| columns.iter().find(|column| column.eq_ignore_ascii_case(name)))
            .ok_or_else(|| format!("has no column of {what} among {columns:?}: name it with ?{what}=COLUMN")),
    };
    let url = find(url, &URL_COLUMNS, "url").map_err(list)?.clone();
    let caption = find(caption, &CAPTION_COLUMNS, "caption").map_err(list)?.clone();
    let limit = limit.unwrap_or(u64::MAX);
    let stretch = |first, rows, offset| Stretch {
        file: path.to_path_buf(),
        size,
        format,
        url: url.clone(),
        caption: caption.clone(),
        first,
        rows,
        offset,
    };
    let mut stretches = Vec::new();
    if format == Format::Parquet {
        let total = (parquet(path)?.num_rows().map_err(|error| list(error.to_string()))? as u64).min(limit);
        stretches.extend((0..total).step_by(rows as usize).map(|first| stretch(first, rows.min(total - first), 0)));
        return Ok(stretches);
    }
    let mut walker = Walker::open(path, format, 0).map_err(io)?;
    if format != Format::Jsonl {
        walker.next().map_err(io)?;
    }
    let (mut first, mut count) = (0, 0);
    let mut begin = walker.offset();
    while first + count < limit && walker.next().map_err(io)?.is_some() {
        count += 1;
        if count == rows {
            stretches.push(stretch(first, count, begin));
            (first, count, begin) = (first + count, 0, walker.offset());
        }
    }
    if count > 0 {
        stretches.push(stretch(first, count, begin));
    }
    Ok(stretches)
}

/// Reads the rows of a stretch.
///
/// # Errors
/// `List` when the file cannot be read or is not the one that was cut.
pub(crate) fn read(stretch: &Stretch) -> Result<Vec<Row>, Error> {
    let list = |why: String| Error::List { path: stretch.file.clone(), why };
    let io = |error: std::io::Error| list(error.to_string());
    let size = std::fs::metadata(&stretch.file).map_err(io)?.len();
    if size != stretch.size {
        return Err(list(format!("it changed after its rows were planned: it had {} bytes, now {size}", stretch.size)));
    }
    if stretch.format == Format::Parquet {
        return read_parquet(stretch);
    }
    let columns = columns_of(&stretch.file, stretch.format)?;
    let position = |name: &str| columns.iter().position(|column| column == name).unwrap_or(usize::MAX);
    let (url, caption) = (position(&stretch.url), position(&stretch.caption));
    let mut walker = Walker::open(&stretch.file, stretch.format, stretch.offset).map_err(io)?;
    let mut rows = Vec::with_capacity(stretch.rows as usize);
    while (rows.len() as u64) < stretch.rows {
        let row = match walker.next().map_err(io)? {
            None => break,
            Some(Item::Record(Record::Fields(fields))) if fields.len() > url && fields.len() > caption => {
                row(&fields[url], &fields[caption])
            }
            Some(Item::Record(_)) => Row::Bad("malformed"),
            Some(Item::Line(line)) => match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&line) {
                Ok(map) => row(text_of(&map, &stretch.url), text_of(&map, &stretch.caption)),
                Err(_) => Row::Bad("malformed"),
            },
        };
        rows.push(row);
    }
    Ok(rows)
}

fn text_of<'a>(map: &'a serde_json::Map<String, serde_json::Value>, column: &str) -> &'a str {
    map.get(column).and_then(serde_json::Value::as_str).unwrap_or_default()
}

fn row(url: &str, caption: &str) -> Row {
    if url.trim().is_empty() {
        return Row::Bad("no-url");
    }
    let Some(url) = web_url(None, url) else { return Row::Bad("bad-url") };
    let caption = clean_caption(caption);
    if caption.is_empty() { Row::Bad("no-caption") } else { Row::Pair(url, caption) }
}

/// Records or lines of a text list.
enum Walker {
    Records(Records),
    Lines(Lines),
}

enum Item {
    Record(Record),
    Line(Vec<u8>),
}

impl Walker {
    fn open(path: &Path, format: Format, offset: u64) -> std::io::Result<Self> {
        Ok(match format {
            Format::Jsonl => Walker::Lines(Lines::open(path, offset)?),
            _ => Walker::Records(Records::open(path, format.delimiter(), offset)?),
        })
    }

    fn offset(&self) -> u64 {
        match self {
            Walker::Records(records) => records.offset(),
            Walker::Lines(lines) => lines.offset(),
        }
    }

    fn next(&mut self) -> std::io::Result<Option<Item>> {
        match self {
            Walker::Records(records) => Ok(records.read()?.map(Item::Record)),
            Walker::Lines(lines) => {
                let mut line = Vec::new();
                while line.trim_ascii().is_empty() {
                    line.clear();
                    if !lines.read(&mut line)? {
                        return Ok(None);
                    }
                }
                Ok(Some(Item::Line(line)))
            }
        }
    }
}

/// The names of a list's columns.
fn columns_of(path: &Path, format: Format) -> Result<Vec<String>, Error> {
    let list = |why: String| Error::List { path: path.to_path_buf(), why };
    if format == Format::Parquet {
        let schema = parquet(path)?.schema().map_err(|error| list(error.to_string()))?;
        return Ok(schema.iter_names().map(|name| name.to_string()).collect());
    }
    let io = |error: std::io::Error| list(error.to_string());
    let mut walker = Walker::open(path, format, 0).map_err(io)?;
    for _ in 0..MAX_PEEK {
        match walker.next().map_err(io)? {
            None => break,
            Some(Item::Record(Record::Fields(fields))) => {
                return Ok(fields.iter().map(|name| name.trim().trim_start_matches('\u{feff}').to_string()).collect());
            }
            Some(Item::Record(Record::Malformed)) => return Err(list("its header is malformed".to_string())),
            Some(Item::Line(line)) => {
                if let Ok(map) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&line) {
                    return Ok(map.keys().cloned().collect());
                }
            }
        }
    }
    Err(list("it has no header or no readable row".to_string()))
}

fn parquet(path: &Path) -> Result<ParquetReader<File>, Error> {
    let file = File::open(path).map_err(|error| Error::List { path: path.to_path_buf(), why: error.to_string() })?;
    Ok(ParquetReader::new(file))
}

fn read_parquet(stretch: &Stretch) -> Result<Vec<Row>, Error> {
    let list = |error: polars::prelude::PolarsError| Error::List { path: stretch.file.clone(), why: error.to_string() };
    let frame = parquet(&stretch.file)?
        .with_columns(Some(vec![stretch.url.clone(), stretch.caption.clone()]))
        .with_slice(Some((stretch.first as usize, stretch.rows as usize)))
        .finish()
        .map_err(list)?;
    let text = |name: &str| frame.column(name).and_then(|column| column.cast(&DataType::String)).map_err(list);
    let (urls, captions) = (text(&stretch.url)?, text(&stretch.caption)?);
    let (urls, captions) = (urls.str().map_err(list)?, captions.str().map_err(list)?);
    Ok(urls.iter().zip(captions.iter()).map(|(url, caption)| row(url.unwrap_or_default(), caption.unwrap_or_default())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{Column, DataFrame, ParquetWriter};

    fn write(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        (dir, path)
    }

    fn all(path: &Path, rows: u64) -> Vec<Row> {
        cut(path, None, None, None, rows).expect("cut").iter().flat_map(|stretch| read(stretch).expect("read")).collect()
    }

    fn pair(url: &str, caption: &str) -> Row {
        Row::Pair(Url::parse(url).expect("a URL"), caption.to_string())
    }

    #[test]
    fn text_lists_are_read_in_stretches() {
        let expected = || {
            [
                pair("http://e.org/1", "one, \"1\""),
                Row::Bad("no-caption"),
                Row::Bad("bad-url"),
                Row::Bad("no-url"),
                Row::Bad("malformed"),
                pair("http://e.org/2", "two"),
            ]
        };
        let csv = "\u{feff}id,TEXT,URL\n1,\"one, \"\"1\"\"\",http://e.org/1\n2, ,http://e.org/x\n3,c,ftp://e.org/\n4,c,\n5\n6,two,http://e.org/2\n";
        let tsv = "text\turl\n\"one, \"\"1\"\"\"\thttp://e.org/1\n\thttp://e.org/x\nc\tnothing\nc\t\nc\ntwo\thttp://e.org/2";
        let json = "{\"url\":\"http://e.org/1\",\"caption\":\"one, \\\"1\\\"\"}\n{\"url\":\"http://e.org/x\",\"caption\":null}\n{\"url\":\"x\",\"caption\":\"c\"}\n{\"caption\":\"c\"}\n{\n\n{\"url\":\"http://e.org/2\",\"caption\":\"two\"}\n";
        for (name, text) in [("a.csv", csv), ("a.tsv", tsv), ("a.jsonl", json)] {
            let (_dir, path) = write(name, text);
            for rows in [1, 2, 4, 100] {
                assert_eq!(all(&path, rows), expected(), "{name} in stretches of {rows}");
            }
            let limited = cut(&path, None, None, Some(5), 2).expect("cut");
            assert_eq!(limited.iter().map(|stretch| stretch.rows).collect::<Vec<_>>(), [2, 2, 1], "{name}");
        }
    }

    #[test]
    fn parquet_lists_are_read_in_stretches() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.parquet");
        let urls: Vec<Option<String>> = (0..25).map(|i| (i != 3).then(|| format!("http://e.org/{i}"))).collect();
        let texts: Vec<String> = (0..25).map(|i| format!("t {i}")).collect();
        let mut frame = DataFrame::new(25, vec![Column::new("image_url".into(), urls), Column::new("alt".into(), texts)]).expect("a frame");
        ParquetWriter::new(File::create(&path).expect("created")).finish(&mut frame).expect("written");
        let rows = all(&path, 10);
        assert_eq!(rows.len(), 25);
        assert_eq!(rows[3], Row::Bad("no-url"));
        assert_eq!(rows[24], pair("http://e.org/24", "t 24"));
    }

    #[test]
    fn what_is_wrong_with_a_list_is_said() {
        let (_dir, path) = write("a.csv", "link,words\nhttp://e.org/1,one\n");
        assert!(cut(&path, None, None, None, 10).expect_err("refused").to_string().contains("?caption=COLUMN"));
        assert!(cut(&path, Some("u"), None, None, 10).expect_err("refused").to_string().contains("no column \"u\""));
        let stretches = cut(&path, Some("link"), Some("words"), None, 10).expect("cut");
        assert_eq!(read(&stretches[0]).expect("read"), [pair("http://e.org/1", "one")]);
        std::fs::write(&path, "link,words\n").expect("written");
        assert!(read(&stretches[0]).expect_err("refused").to_string().contains("changed"));
        let (_dir, odd) = write("a.bin", "");
        assert!(cut(&odd, None, None, None, 10).expect_err("refused").to_string().contains(".parquet"));
        let (_dir, damaged) = write("a.parquet", "PAR1 nothing");
        assert!(cut(&damaged, None, None, None, 10).is_err());
    }

    #[test]
    fn addresses_are_checked() {
        let base = Url::parse("http://e.org/a/b").expect("a URL");
        let get = |text: &str| web_url(Some(&base), text).map(String::from);
        assert_eq!(get(" ../x "), Some("http://e.org/x".to_string()));
        assert_eq!(get("http://user:pw@o.org/"), Some("http://o.org/".to_string()));
        for bad in ["", "javascript:1", "http://", "http:///", &"x".repeat(5000)] {
            assert_eq!(get(bad), None, "{bad}");
        }
    }
}
