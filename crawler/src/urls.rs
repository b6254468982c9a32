//! URL lists: image addresses with captions in Parquet, CSV, TSV, JSON, JSON lines or text, cut into stretches of rows.
//!
//! A stretch can be read on its own, from its offset, so that a list of any length is never in memory. A packed list is unpacked beside
//! the corpus for that (`lists`).

use crate::Error;
use crate::columns::{Asked, Columns, beginning};
use crate::csv::{Lines, Record, Records};
use crate::elements::Elements;
use crate::lists::{bare_name, unpack, unpack_beginning};
use crate::parquet::{self, as_text};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shards::{Candidate, canonical_url, clean_caption};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use url::Url;

/// Longest address taken; longer ones are junk or not worth their place in every table.
const MAX_URL: usize = 16 << 10;
/// Names under which lists keep licences, authors and pages.
const LICENCE_COLUMNS: [&str; 3] = ["licence", "license", "license_url"];
const AUTHOR_COLUMNS: [&str; 3] = ["author", "creator", "artist"];
const PAGE_COLUMNS: [&str; 3] = ["page_url", "foreign_landing_url", "referrer"];
/// Bytes of a row's further columns as JSON; beyond, the longest are left out.
pub(crate) const MAX_EXTRA: usize = 8 << 10;
/// Why a list of no rows is refused where it is named itself.
pub(crate) const EMPTY: &str = "it is empty: it has no row";

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
    /// A JSON array of objects.
    Json,
    /// Lines of an address, a blank and a caption.
    Txt,
}

impl Format {
    /// The format that the file's name says.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "parquet" | "parq" | "pq" => Some(Format::Parquet),
            "csv" => Some(Format::Csv),
            "tsv" | "tab" => Some(Format::Tsv),
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            "json" => Some(Format::Json),
            "txt" => Some(Format::Txt),
            _ => None,
        }
    }

    /// The format that the name of a list says, or what names are expected.
    fn named(path: &Path) -> Result<Self, String> {
        let known = "expected a name ending in .parquet, .csv, .tsv, .json, .jsonl or .txt, or one of the last five with .gz, .zst or .bz2";
        Format::of(&bare_name(path)).ok_or_else(|| known.to_string())
    }

    /// The format of the file: programs also call JSON lines `.json`.
    pub(crate) fn found(self, path: &Path) -> std::io::Result<Self> {
        if self != Format::Json {
            return Ok(self);
        }
        let start = beginning(path)?;
        let first = start.iter().find(|byte| !byte.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(byte));
        Ok(if first == Some(&b'[') { Format::Json } else { Format::Jsonl })
    }

    fn has_header(self) -> bool {
        matches!(self, Format::Csv | Format::Tsv)
    }

    fn delimiter(self) -> u8 {
        if self == Format::Tsv { b'\t' } else { b',' }
    }
}

/// Consecutive rows of a list: the input of a `Plan` job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stretch {
    /// The list as it was named.
    list: PathBuf,
    /// Size of the list when it was cut, in bytes; 0 in jobs of before it was noted.
    #[serde(default)]
    list_size: u64,
    /// What is read: the list, or what was unpacked of it.
    pub(crate) file: PathBuf,
    /// Size of the file when it was cut, in bytes.
    size: u64,
    format: Format,
    /// The columns read.
    pub(crate) url: String,
    pub(crate) caption: String,
    /// The column of hashes, if one was asked for.
    #[serde(default)]
    hash: Option<String>,
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
    /// A pair with what else its row says.
    Pair(Box<Candidate>),
    /// Why there is no pair: `no-url`, `bad-url`, `no-caption`, `malformed`.
    Bad(&'static str),
}

/// What a stretch holds.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    /// Rows that hold bytes that are not UTF-8; they were replaced.
    pub(crate) not_utf8: u64,
}

impl Rows {
    pub(crate) fn push(&mut self, row: Row, is_utf8: bool) {
        self.rows.push(row);
        self.not_utf8 += u64::from(!is_utf8);
    }
}

/// Refuses a list that cannot be read or has no rows, as far as its beginning shows.
///
/// # Errors
/// `List` as [`cut`].
pub(crate) fn check(named: &Path, asked: Asked<'_>) -> Result<(), Error> {
    let list = |why: String| Error::List { path: named.to_path_buf(), why };
    let io = |error: std::io::Error| list(error.to_string());
    let format = Format::named(named).map_err(list)?;
    let unpacked = unpack_beginning(named)?;
    let path = unpacked.as_ref().map_or(named, |file| file.path());
    let format = format.found(path).map_err(io)?;
    let columns = Columns::of(path, format).map_err(list)?.ok_or_else(|| list(EMPTY.to_string()))?;
    columns.choose(asked).map_err(list)?;
    let is_empty = match format {
        Format::Parquet => parquet::shape(path).map_err(list)?.1 == 0,
        _ => Walker::of_rows(path, format).and_then(|mut walker| walker.next()).map_err(io)?.is_none(),
    };
    if is_empty { Err(list(EMPTY.to_string())) } else { Ok(()) }
}

/// Cuts a list into stretches of `rows` rows, up to `limit` rows in all; none of a list without rows.
///
/// # Errors
/// `List` when the file cannot be read, its format is not known, or a column is missing.
pub(crate) fn cut(named: &Path, unpacked: &Path, asked: Asked<'_>, limit: Option<u64>, rows: u64) -> Result<Vec<Stretch>, Error> {
    let list = |why: String| Error::List { path: named.to_path_buf(), why };
    let io = |error: std::io::Error| list(error.to_string());
    let format = Format::named(named).map_err(list)?;
    let list_size = std::fs::metadata(named).map_err(io)?.len();
    let path = unpack(named, unpacked)?;
    let path = path.as_path();
    let format = format.found(path).map_err(io)?;
    let size = std::fs::metadata(path).map_err(io)?.len();
    let Some(columns) = Columns::of(path, format).map_err(list)? else { return Ok(Vec::new()) };
    let (url, caption) = columns.choose(asked).map_err(list)?;
    let limit = limit.unwrap_or(u64::MAX);
    let stretch = |first, rows, offset| Stretch {
        list: named.to_path_buf(),
        list_size,
        file: path.to_path_buf(),
        size,
        format,
        url: url.clone(),
        caption: caption.clone(),
        hash: asked.hash.map(str::to_string),
        first,
        rows,
        offset,
    };
    let mut stretches = Vec::new();
    if format == Format::Parquet {
        let total = parquet::shape(path).map_err(list)?.1.min(limit);
        stretches.extend((0..total).step_by(rows as usize).map(|first| stretch(first, rows.min(total - first), 0)));
        return Ok(stretches);
    }
    let mut walker = Walker::of_rows(path, format).map_err(io)?;
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
pub(crate) fn read(stretch: &Stretch) -> Result<Rows, Error> {
    let list = |why: String| Error::List { path: stretch.list.clone(), why };
    let io = |error: std::io::Error| list(error.to_string());
    if stretch.list != stretch.file && !stretch.file.exists() {
        // Unpacked by an earlier run, and taken away since.
        unpack(&stretch.list, stretch.file.parent().unwrap_or(Path::new("")))?;
    }
    let size = std::fs::metadata(&stretch.file).map_err(io)?.len();
    if size != stretch.size {
        let why =
            format!("it changed after its rows were planned: it had {} bytes, now {size}; the same command plans it again", stretch.size);
        return Err(list(why));
    }
    match stretch.format {
        Format::Parquet => parquet::read(stretch).map_err(list),
        format => {
            let header = if format.has_header() { Columns::of(&stretch.file, format).map_err(list)? } else { None };
            stretch.read_text(&header.map(|columns| columns.names).unwrap_or_default()).map_err(io)
        }
    }
}

impl Stretch {
    /// Whether a column is that of addresses or that of captions.
    pub(crate) fn reads(&self, column: &str) -> bool {
        column == self.url || column == self.caption
    }

    /// Size of the list when it was cut, in bytes, if it is known.
    pub(crate) fn size_then(&self) -> Option<u64> {
        match self.list_size {
            0 => (self.list == self.file).then_some(self.size),
            size => Some(size),
        }
    }

    /// Reads the rows of a text list; `header` are the names of its columns where it begins with them.
    fn read_text(&self, header: &[String]) -> std::io::Result<Rows> {
        let mut walker = Walker::open(&self.file, self.format, self.offset)?;
        let mut rows = Rows::default();
        while (rows.rows.len() as u64) < self.rows {
            let Some(item) = walker.next()? else { break };
            match item {
                Item::Record(record) => rows.push(self.record(record, header), walker.was_utf8()),
                Item::Line(line) => {
                    let text = String::from_utf8_lossy(&line);
                    let row = if self.format == Format::Txt { self.line(&text) } else { self.object(&text) };
                    rows.push(row, matches!(text, Cow::Borrowed(_)));
                }
            }
        }
        Ok(rows)
    }

    /// A row of CSV or TSV.
    fn record(&self, record: Record, header: &[String]) -> Row {
        let position = |name: &str| header.iter().position(|column| column == name).unwrap_or(usize::MAX);
        let (url, caption) = (position(&self.url), position(&self.caption));
        match record {
            Record::Fields(mut fields) if fields.len() > url && fields.len() > caption => {
                let (url, caption) = (std::mem::take(&mut fields[url]), std::mem::take(&mut fields[caption]));
                let further = header.iter().zip(fields).filter(|(_, value)| !value.is_empty());
                self.row(&url, &caption, further.map(|(name, value)| (name.clone(), Value::from(value))).collect())
            }
            _ => Row::Bad("malformed"),
        }
    }

    /// A row of text: an address, a blank, a caption.
    fn line(&self, line: &str) -> Row {
        let (url, caption) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        self.row(url, caption, Map::new())
    }

    /// A row of JSON.
    fn object(&self, text: &str) -> Row {
        let Ok(mut map) = serde_json::from_str::<Map<String, Value>>(text) else { return Row::Bad("malformed") };
        let mut text = |column: &str| as_text(map.remove(column)).unwrap_or_default();
        let (url, caption) = (text(&self.url), text(&self.caption));
        map.retain(|_, value| !value.is_null());
        self.row(&url, &caption, map)
    }

    /// A row with its further columns.
    pub(crate) fn row(&self, url: &str, caption: &str, further: Map<String, Value>) -> Row {
        if url.trim().is_empty() {
            return Row::Bad("no-url");
        }
        let Some(url) = web_url(None, url) else { return Row::Bad("bad-url") };
        let caption = clean_caption(caption);
        if caption.is_empty() {
            return Row::Bad("no-caption");
        }
        let hint = |names: &[&str]| {
            let named = |name: &&str| further.iter().find(|(column, _)| column.eq_ignore_ascii_case(name))?.1.as_str().map(str::to_string);
            names.iter().find_map(named).unwrap_or_default()
        };
        let page_url = web_url(None, &hint(&PAGE_COLUMNS)).map(|url| canonical_url(&url)).unwrap_or_default();
        Row::Pair(Box::new(Candidate {
            source: format!("urls:{}", self.list.display()),
            licence: hint(&LICENCE_COLUMNS),
            author: hint(&AUTHOR_COLUMNS),
            extra: extra(further, self.hash.as_deref()),
            ..Candidate::new(canonical_url(&url), page_url, caption, "column")
        }))
    }
}

/// Further columns as JSON; the longest are left out where all of them would be too much, but not the one that was asked for.
fn extra(mut further: Map<String, Value>, asked: Option<&str>) -> String {
    // Quotes, colon and comma besides name and value.
    let size = |name: &String, value: &Value| name.len() + value.to_string().len() + 4;
    let mut all: usize = further.iter().map(|(name, value)| size(name, value)).sum();
    let droppable = further.iter().filter(|(name, value)| asked != Some(name) || size(name, value) > MAX_EXTRA / 2);
    let mut sizes: Vec<(usize, String)> = droppable.map(|(name, value)| (size(name, value), name.clone())).collect();
    sizes.sort_unstable();
    while let Some((size, name)) = sizes.pop_if(|_| all > MAX_EXTRA) {
        all -= size;
        further.remove(&name);
    }
    if further.is_empty() { String::new() } else { Value::Object(further).to_string() }
}

/// Records or lines of a text list.
pub(crate) enum Walker {
    Records(Records),
    Lines(Lines),
    Elements(Elements),
}

pub(crate) enum Item {
    Record(Record),
    Line(Vec<u8>),
}

impl Walker {
    pub(crate) fn open(path: &Path, format: Format, offset: u64) -> std::io::Result<Self> {
        Ok(match format {
            Format::Jsonl | Format::Txt => Walker::Lines(Lines::open(path, offset)?),
            Format::Json => Walker::Elements(Elements::open(path, offset)?),
            _ => Walker::Records(Records::open(path, format.delimiter(), offset)?),
        })
    }

    /// Opens a list at its first row, behind the header if there is one.
    fn of_rows(path: &Path, format: Format) -> std::io::Result<Self> {
        let mut walker = Walker::open(path, format, 0)?;
        if format.has_header() {
            walker.next()?;
        }
        Ok(walker)
    }

    /// Whether the last record was UTF-8.
    fn was_utf8(&self) -> bool {
        !matches!(self, Walker::Records(records) if !records.was_utf8())
    }

    fn offset(&self) -> u64 {
        match self {
            Walker::Records(records) => records.offset(),
            Walker::Lines(lines) => lines.offset(),
            Walker::Elements(elements) => elements.offset(),
        }
    }

    pub(crate) fn next(&mut self) -> std::io::Result<Option<Item>> {
        match self {
            Walker::Records(records) => Ok(records.read()?.map(Item::Record)),
            Walker::Elements(elements) => Ok(elements.read()?.map(Item::Line)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{Column, DataFrame, ParquetWriter};
    use std::fs::File;

    fn write(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        (dir, path)
    }

    fn all(path: &Path, rows: u64) -> Vec<Row> {
        cut(path, Path::new("unused"), Asked::default(), None, rows)
            .expect("cut")
            .iter()
            .flat_map(|stretch| read(stretch).expect("read").rows)
            .collect()
    }

    fn pair(url: &str, caption: &str) -> Row {
        Row::Pair(Box::new(Candidate::new(url.to_string(), String::new(), caption.to_string(), "column")))
    }

    /// The rows without what says where they come from.
    fn bare(rows: Vec<Row>) -> Vec<Row> {
        let bare = |row| match row {
            Row::Pair(pair) => Row::Pair(Box::new(Candidate { source: String::new(), extra: String::new(), ..*pair })),
            bad => bad,
        };
        rows.into_iter().map(bare).collect()
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
        let array = format!("[{}]", json.trim_end().replace("{\n\n", "7\n").replace('\n', ",\n"));
        let txt = "http://e.org/1 one, \"1\"\nhttp://e.org/x\nnothing c\n \t\nhttp:// c\nhttp://e.org/2\ttwo";
        let (_dir, path) = write("a.txt", txt);
        assert_eq!(
            bare(all(&path, 2)),
            [
                pair("http://e.org/1", "one, \"1\""),
                Row::Bad("no-caption"),
                Row::Bad("bad-url"),
                Row::Bad("bad-url"),
                pair("http://e.org/2", "two")
            ]
        );
        for (name, text) in [("a.csv", csv), ("a.tsv", tsv), ("a.jsonl", json), ("b.json", json), ("a.json", array.as_str())] {
            let (_dir, path) = write(name, text);
            for rows in [1, 2, 4, 100] {
                assert_eq!(bare(all(&path, rows)), expected(), "{name} in stretches of {rows}");
            }
            let limited = cut(&path, Path::new("unused"), Asked::default(), Some(5), 2).expect("cut");
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
        assert_eq!(bare(rows).swap_remove(24), pair("http://e.org/24", "t 24"));
    }

    #[test]
    fn further_columns_are_kept() {
        let csv = "url,caption,License,n,creator\nhttp://e.org/1,one,by,,Ann\n";
        let json = "{\"url\":\"http://e.org/1\",\"caption\":\"one\",\"License\":\"by\",\"n\":7,\"v\":[1,2],\"creator\":\"Ann\",\"page_url\":\"http://e.org/p\"}";
        let only = |name: &str, text: &str| {
            let (_dir, path) = write(name, text);
            match all(&path, 10).swap_remove(0) {
                Row::Pair(pair) => *pair,
                bad => panic!("{bad:?}"),
            }
        };
        let pair = only("a.csv", csv);
        assert!(pair.source.starts_with("urls:") && pair.source.ends_with("a.csv"));
        assert_eq!(
            (pair.licence.as_str(), pair.author.as_str(), pair.extra.as_str()),
            ("by", "Ann", r#"{"License":"by","creator":"Ann"}"#)
        );
        let pair = only("a.jsonl", json);
        assert_eq!((pair.page_url.as_str(), pair.licence.as_str()), ("http://e.org/p", "by"));
        assert_eq!(serde_json::from_str::<Value>(&pair.extra).expect("JSON")["n"], 7);
        assert_eq!(serde_json::from_str::<Value>(&pair.extra).expect("JSON")["v"], serde_json::json!([1, 2]));
        let long = only("b.jsonl", &json.replace("Ann", &"x".repeat(MAX_EXTRA)));
        let left = serde_json::json!({"License": "by", "n": 7, "v": [1, 2], "page_url": "http://e.org/p"});
        assert_eq!(serde_json::from_str::<Value>(&long.extra).expect("JSON"), left);
        // The column that is asked for stays, though it is the longest of many.
        let (names, words): (Vec<String>, Vec<String>) = (0..80).map(|n| (format!("c{n}"), "x".repeat(110))).unzip();
        let sum = "0".repeat(128);
        let wide = format!("url,caption,sum,{}\nhttp://e.org/1,one,{sum},{}\n", names.join(","), words.join(","));
        let (_dir, path) = write("wide.csv", &wide);
        let stretches = cut(&path, Path::new("unused"), Asked { hash: Some("sum"), ..Asked::default() }, None, 10).expect("cut");
        let Row::Pair(pair) = read(&stretches[0]).expect("read").rows.swap_remove(0) else { panic!("no pair") };
        let extra = serde_json::from_str::<Map<String, Value>>(&pair.extra).expect("JSON");
        assert!(extra["sum"] == sum && extra.len() > 50 && pair.extra.len() <= MAX_EXTRA, "{}", extra.len());

        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.parquet");
        let columns = vec![
            Column::new("url".into(), ["http://e.org/1"]),
            Column::new("caption".into(), ["one"]),
            Column::new("similarity".into(), [0.5f32]),
            Column::new("n".into(), [Some(7i32)]),
            Column::new("none".into(), [None::<i64>]),
            Column::new("license".into(), ["by"]),
        ];
        let mut frame = DataFrame::new(1, columns).expect("a frame");
        ParquetWriter::new(File::create(&path).expect("created")).finish(&mut frame).expect("written");
        match all(&path, 10).swap_remove(0) {
            Row::Pair(pair) => {
                assert_eq!(pair.licence, "by");
                assert_eq!(
                    serde_json::from_str::<Value>(&pair.extra).expect("JSON"),
                    serde_json::json!({"similarity": 0.5, "n": 7, "license": "by"})
                );
            }
            bad => panic!("{bad:?}"),
        }
    }

    #[test]
    fn packed_lists_are_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let text = b"url,caption\nhttp://e.org/1,one\nhttp://e.org/2,two\n";
        let gz = {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            std::io::Write::write_all(&mut packer, text).expect("packed");
            packer.finish().expect("packed")
        };
        let bz2 = {
            let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
            std::io::Write::write_all(&mut packer, text).expect("packed");
            packer.finish().expect("packed")
        };
        let zst = zstd::encode_all(text.as_slice(), 1).expect("packed");
        for (name, bytes) in [("a.csv.gz", gz), ("b.csv.bz2", bz2), ("c.CSV.zst", zst)] {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            let stretches = cut(&path, &dir.path().join("lists"), Asked::default(), None, 1).expect("cut");
            assert_eq!(stretches.len(), 2, "{name}");
            std::fs::remove_dir_all(dir.path().join("lists")).expect("removed");
            assert_eq!(bare(read(&stretches[1]).expect("read").rows), [pair("http://e.org/2", "two")], "{name}");
        }
        let broken = dir.path().join("d.csv.gz");
        std::fs::write(&broken, b"url,caption").expect("written");
        assert!(cut(&broken, &dir.path().join("lists"), Asked::default(), None, 1).expect_err("refused").to_string().contains("d.csv.gz"));
    }

    #[test]
    fn what_is_wrong_with_a_list_is_said() {
        let (_dir, path) = write("a.csv", "link,words\nhttp://e.org/1,one\n");
        assert!(cut(&path, Path::new("unused"), Asked::default(), None, 10).expect_err("refused").to_string().contains("?caption=COLUMN"));
        assert!(
            cut(&path, Path::new("unused"), Asked { url: Some("u"), ..Asked::default() }, None, 10)
                .expect_err("refused")
                .to_string()
                .contains("no column \"u\"")
        );
        let stretches =
            cut(&path, Path::new("unused"), Asked { url: Some("link"), caption: Some("words"), hash: None }, None, 10).expect("cut");
        assert_eq!(bare(read(&stretches[0]).expect("read").rows), [pair("http://e.org/1", "one")]);
        std::fs::write(&path, "link,words\n").expect("written");
        assert!(read(&stretches[0]).expect_err("refused").to_string().contains("changed"));
        let (_dir, odd) = write("a.bin", "");
        assert!(cut(&odd, Path::new("unused"), Asked::default(), None, 10).expect_err("refused").to_string().contains(".parquet"));
        let (_dir, damaged) = write("a.parquet", "PAR1 nothing");
        assert!(cut(&damaged, Path::new("unused"), Asked::default(), None, 10).is_err());
    }

    #[test]
    fn numbers_are_captions_too() {
        let json = "{\"url\":\"http://e.org/1\",\"caption\":2024}\n{\"url\":\"http://e.org/1\",\"caption\":true}\n{\"url\":\"http://e.org/1\",\"caption\":[1]}\n";
        let (_dir, path) = write("a.jsonl", json);
        assert_eq!(bare(all(&path, 10)), [pair("http://e.org/1", "2024"), pair("http://e.org/1", "true"), Row::Bad("no-caption")]);
    }

    #[test]
    fn rows_with_other_bytes_than_utf8_are_kept_and_counted() {
        let texts: [(&str, &[u8]); 3] = [
            ("a.csv", b"url,caption\nhttp://e.org/1,caf\xe9\nhttp://e.org/2,two\n"),
            ("a.txt", b"http://e.org/1 caf\xe9\nhttp://e.org/2 two\n"),
            ("a.jsonl", b"{\"url\":\"http://e.org/1\",\"caption\":\"caf\xe9\"}\n{\"url\":\"http://e.org/2\",\"caption\":\"two\"}\n"),
        ];
        for (name, text) in texts {
            let dir = tempfile::tempdir().expect("a folder");
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            let stretches = cut(&path, Path::new("unused"), Asked::default(), None, 10).expect("cut");
            let read = read(&stretches[0]).expect("read");
            assert_eq!(read.not_utf8, 1, "{name}");
            assert_eq!(bare(read.rows), [pair("http://e.org/1", "caf\u{fffd}"), pair("http://e.org/2", "two")], "{name}");
        }
    }

    #[test]
    fn marked_text_and_lines_of_old_macs_are_read() {
        let expected = [pair("http://e.org/1", "one"), pair("http://e.org/2", "two")];
        for (name, text) in [
            ("a.txt", "\u{feff}http://e.org/1 one\nhttp://e.org/2 two\n"),
            ("a.jsonl", "\u{feff}{\"url\":\"http://e.org/1\",\"caption\":\"one\"}\n{\"url\":\"http://e.org/2\",\"caption\":\"two\"}\n"),
            ("a.csv", "url,caption\rhttp://e.org/1,one\rhttp://e.org/2,two\r"),
            ("b.csv", "\u{feff}url,caption\r\nhttp://e.org/1,one\r\nhttp://e.org/2,two"),
        ] {
            let (_dir, path) = write(name, text);
            for rows in [1, 10] {
                assert_eq!(bare(all(&path, rows)), expected, "{name} in stretches of {rows}");
            }
        }
    }

    #[test]
    fn empty_lists_have_no_stretches_and_are_refused_when_checked() {
        for (name, text) in
            [("a.csv", ""), ("a.csv", "url,caption\n"), ("a.json", "[]"), ("a.jsonl", ""), ("a.txt", "\n"), ("a.parquet", "")]
        {
            let (_dir, path) = write(name, text);
            assert!(cut(&path, Path::new("unused"), Asked::default(), None, 10).expect("cut").is_empty(), "{name}");
            assert!(check(&path, Asked::default()).expect_err("refused").to_string().contains("empty"), "{name}");
        }
        let (_dir, path) = write("a.csv", "url,caption\nhttp://e.org/1,one\n");
        check(&path, Asked::default()).expect("fine");
        assert!(check(&path, Asked { url: Some("u"), ..Asked::default() }).is_err());
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packer, b"a,b\n1,2\n").expect("packed");
        let packed = path.with_file_name("b.csv.gz");
        std::fs::write(&packed, packer.finish().expect("packed")).expect("written");
        assert!(check(&packed, Asked::default()).expect_err("refused").to_string().contains("no column of url"));
        check(&packed, Asked { url: Some("a"), caption: Some("b"), hash: None }).expect("fine");
    }

    #[test]
    fn addresses_are_checked() {
        let base = Url::parse("http://e.org/a/b").expect("a URL");
        let get = |text: &str| web_url(Some(&base), text).map(String::from);
        assert_eq!(get(" ../x "), Some("http://e.org/x".to_string()));
        assert_eq!(get("http://user:pw@o.org/"), Some("http://o.org/".to_string()));
        for bad in ["", "javascript:1", "http://", "http:///", &"x".repeat(MAX_URL + 1)] {
            assert_eq!(get(bad), None, "{:.99}", bad);
        }
    }
}
