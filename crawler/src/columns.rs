//! Which columns a URL list has, and which of them hold addresses and captions.

use crate::csv::Record;
use crate::parquet;
use crate::urls::{Format, Item, Walker};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Names under which lists keep addresses: img2dataset's, LAION's and Conceptual Captions' among them.
const URL_COLUMNS: [&str; 4] = ["url", "image_url", "image", "link"];
/// Names under which lists keep captions.
const CAPTION_COLUMNS: [&str; 4] = ["caption", "text", "alt", "alt_text"];
/// Rows of a JSON list looked through for the columns that it has.
const MAX_PEEK: usize = 1000;
/// Names said when one is missing.
const MAX_NAMED: usize = 20;
/// Bytes at the beginning of a file that show its encoding and its kind of JSON.
const BEGINNING: u64 = 1024;

/// Columns that were asked for by name.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    /// That of image URLs; otherwise the first of the usual names that the list has.
    pub(crate) url: Option<&'a str>,
    /// That of captions, likewise.
    pub(crate) caption: Option<&'a str>,
    /// That of hashes of the images' bytes, which must be there when it is asked for.
    pub(crate) hash: Option<&'a str>,
}

/// The columns of a list.
#[derive(Debug, PartialEq)]
pub(crate) struct Columns {
    pub(crate) names: Vec<String>,
    /// Whether rows that were not looked at may have others.
    is_open: bool,
}

impl Columns {
    /// Finds the columns of a list; `None` when there is nothing in it.
    pub(crate) fn of(path: &Path, format: Format) -> Result<Option<Self>, String> {
        let beginning = beginning(path).map_err(|error| error.to_string())?;
        if beginning.is_empty() {
            return Ok(None);
        }
        let known = |names| Ok(Some(Columns { names, is_open: false }));
        if format == Format::Parquet {
            return known(parquet::shape(path)?.0);
        }
        if beginning.starts_with(b"\xff\xfe") || beginning.starts_with(b"\xfe\xff") || beginning.contains(&0) {
            return Err("it is UTF-16 or no text at all: convert it to UTF-8, for example with iconv -f UTF-16 -t UTF-8".to_string());
        }
        if format == Format::Txt {
            return known(vec!["url".to_string(), "caption".to_string()]);
        }
        let mut walker = Walker::open(path, format, 0).map_err(|error| error.to_string())?;
        if matches!(format, Format::Json | Format::Jsonl) {
            return of_json(&mut walker);
        }
        match walker.next().map_err(|error| error.to_string())? {
            None => Ok(None),
            Some(Item::Record(Record::Fields(fields))) => known(fields.iter().map(|name| name.trim().to_string()).collect()),
            Some(_) => Err("its header is malformed".to_string()),
        }
    }

    /// The columns of addresses and of captions.
    pub(crate) fn choose(&self, asked: Asked<'_>) -> Result<(String, String), String> {
        asked.hash.map(|hash| self.find(Some(hash), &[], "hash")).transpose()?;
        Ok((self.find(asked.url, &URL_COLUMNS, "url")?, self.find(asked.caption, &CAPTION_COLUMNS, "caption")?))
    }

    fn find(&self, asked: Option<&str>, usual: &[&str], what: &str) -> Result<String, String> {
        let has = &self.names;
        let some = || {
            let more = if has.len() > MAX_NAMED { " and others" } else { "" };
            format!("{:?}{more}", &has[..has.len().min(MAX_NAMED)])
        };
        match asked {
            Some(name) if self.is_open || has.iter().any(|column| column == name) => Ok(name.to_string()),
            Some(name) => Err(format!("has no column {name:?}, only {}", some())),
            None => usual
                .iter()
                .find_map(|name| has.iter().find(|column| column.eq_ignore_ascii_case(name)))
                .cloned()
                .ok_or_else(|| format!("has no column of {what} among {}: name it with ?{what}=COLUMN", some())),
        }
    }
}

/// The first bytes of a file.
pub(crate) fn beginning(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BEGINNING).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All keys of the first rows: a row may lack any of them.
fn of_json(walker: &mut Walker) -> Result<Option<Columns>, String> {
    let (mut names, mut seen) = (BTreeSet::new(), 0);
    while seen < MAX_PEEK
        && let Some(item) = walker.next().map_err(|error| error.to_string())?
    {
        seen += 1;
        let Item::Line(line) = item else { continue };
        let row = serde_json::from_str::<Map<String, Value>>(&String::from_utf8_lossy(&line));
        if seen == 1 && row.as_ref().map_or(true, |row| row.values().all(Value::is_object)) && is_by_columns(&line) {
            return Err("is one object of columns, as pandas' to_json() writes it: write rows, \
                with to_json(FILE, orient=\"records\", lines=True)"
                .to_string());
        }
        names.extend(row.into_iter().flatten().map(|(name, _)| name));
    }
    match (seen, names.is_empty()) {
        (0, _) => Ok(None),
        (_, true) => Err(format!("has no readable row among the first {seen}: expected one JSON object a line, or an array of objects")),
        _ => Ok(Some(Columns { names: names.into_iter().collect(), is_open: seen == MAX_PEEK })),
    }
}

/// Whether a text begins as a table by columns does: `{"url":{"0":"http...`.
fn is_by_columns(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&text[..text.len().min(BEGINNING as usize)]);
    let name = |text: &str| {
        let (name, rest) = text.trim_start().strip_prefix('{')?.trim_start().strip_prefix('"')?.split_once('"')?;
        Some((name.to_string(), rest.trim_start().strip_prefix(':')?.to_string()))
    };
    let row = name(&text).and_then(|(_, rest)| name(&rest));
    row.is_some_and(|(row, _)| row.parse::<u64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(name: &str, text: impl AsRef<[u8]>) -> Result<Option<Columns>, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        Columns::of(&path, Format::of(&path).expect("a format").found(&path).expect("read"))
    }

    fn asked<'a>(url: &'a str, caption: &'a str) -> Asked<'a> {
        Asked { url: Some(url), caption: Some(caption), hash: None }
    }

    #[test]
    fn every_row_shows_columns_of_json() {
        let found = columns("a.jsonl", "{\"url\":\"x\"}\n{\n{\"caption\":\"c\",\"url\":\"y\"}\n").expect("read").expect("some");
        assert_eq!(found.choose(Asked::default()).expect("chosen"), ("url".to_string(), "caption".to_string()));
        assert!(found.choose(asked("url", "text")).expect_err("refused").contains("no column \"text\""));
        // Of a long list not all rows are looked at: one that has the column may follow.
        let long = columns("a.jsonl", "{\"url\":\"x\"}\n".repeat(MAX_PEEK + 1)).expect("read").expect("some");
        assert_eq!(long.choose(asked("url", "text")).expect("chosen").1, "text");
        assert!(long.choose(Asked::default()).expect_err("refused").contains("?caption=COLUMN"));
    }

    #[test]
    fn tables_by_columns_are_named() {
        let by_columns = "{\"url\":{\"0\":\"http:\\/\\/e.org\",\"1\":\"x\"},\"caption\":{\"0\":\"c\",\"1\":\"d\"}}";
        for text in [by_columns.to_string(), by_columns.replace("\"x\"", &format!("\"{}\"", "x".repeat(2 << 20)))] {
            assert!(columns("a.json", text).expect_err("refused").contains("orient=\"records\""));
        }
        columns("a.json", "{\"scores\":{\"0\":1},\"url\":\"x\",\"caption\":\"c\"}").expect("read").expect("some");
    }

    #[test]
    fn other_encodings_are_named() {
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        for name in ["a.csv", "a.tsv", "a.txt", "a.jsonl", "a.json"] {
            for text in [wide("\u{feff}url,caption\n"), wide("url,caption\n"), b"\xfe\xff\0u\0r\0l".to_vec()] {
                assert!(columns(name, text).expect_err("refused").contains("UTF-16"), "{name}");
            }
        }
    }

    #[test]
    fn empty_lists_are_told_from_bad_ones() {
        for (name, text) in [("a.csv", ""), ("a.csv", "\n \n"), ("a.jsonl", "\n"), ("a.json", "[]"), ("a.json", " [ ] "), ("a.parquet", "")]
        {
            assert_eq!(columns(name, text), Ok(None), "{name} {text:?}");
        }
        assert!(columns("a.json", "{\n \"count\": 3\n}\n").expect_err("refused").contains("one JSON object a line"));
        assert!(columns("a.parquet", "PAR1 nothing").is_err());
        let many = (0..1000).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
        let error = columns("a.csv", many).expect("read").expect("some").choose(Asked::default()).expect_err("refused");
        assert!(error.contains("c19") && !error.contains("c20") && error.contains("and others"), "{error}");
    }
}
