//! Records of CSV and TSV files, with the offset of each, so that a file can be read from the middle.
//!
//! Quotes after RFC 4180: they count only at the start of a field, are doubled inside it, and such a field may hold line
//! breaks. A quote that is never closed spoils its own line, not the rest of the file. Lines of a file without any `\n` end with `\r`.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Result, Seek, SeekFrom};
use std::path::Path;

/// Longest line or record read; what is longer is malformed.
pub(crate) const MAX_RECORD: usize = 1 << 20;

/// Bytes at the beginning of a file that show how its lines end.
const BEGINNING: u64 = 1 << 18;
/// What some programs write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file read line by line at known offsets.
pub(crate) struct Lines {
    reader: BufReader<File>,
    /// The last byte of a line.
    end: u8,
    /// Offset of the next line in bytes.
    offset: u64,
}

impl Lines {
    /// Opens a file at an offset where a line begins.
    pub(crate) fn open(path: &Path, offset: u64) -> Result<Self> {
        let mut reader = BufReader::with_capacity(1 << 18, File::open(path)?);
        let mut beginning = Vec::new();
        (&mut reader).take(BEGINNING).read_to_end(&mut beginning)?;
        let has = |end: u8| memchr::memchr(end, &beginning).is_some();
        let end = if !has(b'\n') && has(b'\r') { b'\r' } else { b'\n' };
        let marked = offset == 0 && beginning.starts_with(BYTE_ORDER_MARK);
        let offset = if marked { BYTE_ORDER_MARK.len() as u64 } else { offset };
        reader.seek(SeekFrom::Start(offset))?;
        Ok(Lines { reader, end, offset })
    }

    /// Offset of the next line.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Appends the next line with its end to `line`; `false` at the end of the file. A line beyond [`MAX_RECORD`] is cut.
    pub(crate) fn read(&mut self, line: &mut Vec<u8>) -> Result<bool> {
        let mut read = (&mut self.reader).take(MAX_RECORD as u64).read_until(self.end, line)?;
        self.offset += read as u64;
        let any = read > 0;
        while read == MAX_RECORD && line.last() != Some(&self.end) {
            // Skip the rest, a buffer at a time.
            let mut rest = Vec::new();
            read = (&mut self.reader).take(MAX_RECORD as u64).read_until(self.end, &mut rest)?;
            self.offset += read as u64;
            if rest.last() == Some(&self.end) {
                break;
            }
        }
        Ok(any)
    }

    fn go_back(&mut self, offset: u64) -> Result<()> {
        self.reader.seek_relative(offset as i64 - self.offset as i64)?;
        self.offset = offset;
        Ok(())
    }
}

/// One record.
#[derive(Debug, PartialEq)]
pub(crate) enum Record {
    /// Its fields; bytes that are not UTF-8 are replaced.
    Fields(Vec<String>),
    /// A quote is not closed, or the record is too long.
    Malformed,
}

/// Where the reader is within a record.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// After a quote in a quoted field: its end, or the first of two.
    Closing,
}

/// Reads records.
pub(crate) struct Records {
    lines: Lines,
    delimiter: u8,
    was_utf8: bool,
}

impl Records {
    /// Opens a file at an offset where a record begins.
    pub(crate) fn open(path: &Path, delimiter: u8, offset: u64) -> Result<Self> {
        Ok(Records { lines: Lines::open(path, offset)?, delimiter, was_utf8: true })
    }

    /// Offset of the next record.
    pub(crate) fn offset(&self) -> u64 {
        self.lines.offset()
    }

    /// Whether the last record was UTF-8.
    pub(crate) fn was_utf8(&self) -> bool {
        self.was_utf8
    }

    /// The next record; blank lines are skipped, `None` at the end.
    pub(crate) fn read(&mut self) -> Result<Option<Record>> {
        let mut line = Vec::new();
        while line.trim_ascii().is_empty() {
            line.clear();
            if !self.lines.read(&mut line)? {
                return Ok(None);
            }
        }
        let after_first = self.lines.offset();
        let mut parser = Parser { delimiter: self.delimiter, state: State::Start, field: Vec::new(), fields: Vec::new(), is_utf8: true };
        let mut length = 0;
        loop {
            length += line.len();
            if length >= MAX_RECORD {
                break;
            }
            parser.feed(&line);
            if parser.state != State::Quoted {
                parser.end_field();
                self.was_utf8 = parser.is_utf8;
                return Ok(Some(Record::Fields(parser.fields)));
            }
            line.clear();
            if !self.lines.read(&mut line)? {
                break;
            }
        }
        self.lines.go_back(after_first)?;
        self.was_utf8 = true;
        Ok(Some(Record::Malformed))
    }
}

struct Parser {
    delimiter: u8,
    state: State,
    field: Vec<u8>,
    fields: Vec<String>,
    /// Whether all fields so far were.
    is_utf8: bool,
}

impl Parser {
    fn feed(&mut self, line: &[u8]) {
        for (i, &byte) in line.iter().enumerate() {
            let ends = byte == b'\n' || byte == b'\r' && line.get(i + 1).is_none_or(|&next| next == b'\n');
            match (self.state, byte) {
                (State::Quoted, b'"') => self.state = State::Closing,
                (State::Quoted, _) => self.field.push(byte),
                (State::Start, b'"') => self.state = State::Quoted,
                (State::Closing, b'"') => {
                    self.field.push(b'"');
                    self.state = State::Quoted;
                }
                _ if byte == self.delimiter => self.end_field(),
                _ if ends => {}
                _ => {
                    self.field.push(byte);
                    self.state = State::Plain;
                }
            }
        }
    }

    fn end_field(&mut self) {
        let text = String::from_utf8_lossy(&self.field);
        self.is_utf8 &= matches!(text, Cow::Borrowed(_));
        self.fields.push(text.into_owned());
        self.field.clear();
        self.state = State::Start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(text: &[u8], delimiter: u8) -> Vec<Record> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let mut records = Records::open(file.path(), delimiter, 0).expect("opened");
        std::iter::from_fn(|| records.read().expect("read")).collect()
    }

    fn fields(list: &[&str]) -> Record {
        Record::Fields(list.iter().map(|text| text.to_string()).collect())
    }

    #[test]
    fn quotes_and_line_breaks() {
        let text = b"a,b\r\n\"x, \"\"y\"\"\nz\",2\n\n5\" pipe,\n,\n\"last\",\xff";
        let expected = [
            fields(&["a", "b"]),
            fields(&["x, \"y\"\nz", "2"]),
            fields(&["5\" pipe", ""]),
            fields(&["", ""]),
            fields(&["last", "\u{fffd}"]),
        ];
        assert_eq!(records(text, b','), expected);
        assert_eq!(records(b"a,1\tb\n", b'\t'), [fields(&["a,1", "b"])]);
    }

    #[test]
    fn lines_may_end_with_a_carriage_return_alone() {
        assert_eq!(records(b"a,b\r1,\"x\"\r\r2,y", b','), [fields(&["a", "b"]), fields(&["1", "x"]), fields(&["2", "y"])]);
        // In a file of other lines it is a character like any other.
        assert_eq!(records(b"a\rb,c\nd,e\r\n", b','), [fields(&["a\rb", "c"]), fields(&["d", "e"])]);
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"\xef\xbb\xbfa\rb\rc").expect("written");
        let mut lines = Lines::open(file.path(), 0).expect("opened");
        let mut line = Vec::new();
        assert!(lines.read(&mut line).expect("read") && line == b"a\r");
        let mut later = Lines::open(file.path(), lines.offset()).expect("opened");
        line.clear();
        assert!(later.read(&mut line).expect("read") && line == b"b\r");
    }

    #[test]
    fn other_bytes_than_utf8_are_noticed() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"a\ncaf\xe9\nb\n").expect("written");
        let mut records = Records::open(file.path(), b',', 0).expect("opened");
        let mut noticed = Vec::new();
        while records.read().expect("read").is_some() {
            noticed.push(records.was_utf8());
        }
        assert_eq!(noticed, [true, false, true]);
    }

    #[test]
    fn an_open_quote_spoils_one_line() {
        assert_eq!(records(b"\"open,1\nb,2\nc,3", b','), [Record::Malformed, fields(&["b", "2"]), fields(&["c", "3"])]);
    }

    #[test]
    fn long_lines_are_malformed() {
        let mut text = vec![b'x'; 3 * MAX_RECORD];
        text.extend_from_slice(b"\nb,2\n");
        assert_eq!(records(&text, b','), [Record::Malformed, fields(&["b", "2"])]);
    }

    proptest! {
        #[test]
        fn written_fields_come_back(rows in proptest::collection::vec(proptest::collection::vec("[a\",\n\r ]{0,6}", 2..4), 1..6)) {
            let quote = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let text: String = rows.iter().map(|row| row.iter().map(quote).collect::<Vec<_>>().join(",") + "\n").collect();
            let read: Vec<Record> = records(text.as_bytes(), b',');
            prop_assert_eq!(read, rows.into_iter().map(Record::Fields).collect::<Vec<_>>());
        }
    }
}
