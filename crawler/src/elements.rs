//! The elements of a JSON array, one after the other with the offset of each, so that a file can be read from the middle.

use crate::csv::MAX_RECORD;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Result, Seek, SeekFrom};
use std::path::Path;

/// Reads the elements of the array that a file holds.
pub(crate) struct Elements {
    reader: BufReader<File>,
    /// Offset of what follows the last element.
    offset: u64,
}

impl Elements {
    /// Opens a file at its beginning, or at an offset between two elements.
    pub(crate) fn open(path: &Path, offset: u64) -> Result<Self> {
        let mut reader = BufReader::with_capacity(1 << 18, File::open(path)?);
        reader.seek(SeekFrom::Start(offset))?;
        if offset > 0 {
            return Ok(Elements { reader, offset });
        }
        // Everything up to the first bracket: a byte order mark and blanks.
        let mut before = Vec::new();
        let length = (&mut reader).take(MAX_RECORD as u64).read_until(b'[', &mut before)?;
        Ok(Elements { reader, offset: length as u64 })
    }

    /// Offset from which the next element can be read.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The text of the next element, not checked; `None` at the end. One longer than [`MAX_RECORD`] is cut.
    pub(crate) fn read(&mut self) -> Result<Option<Vec<u8>>> {
        let mut element = Vec::new();
        let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
        loop {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                return Ok((!element.is_empty()).then_some(element));
            }
            let mut used = 0;
            let mut done = false;
            for &byte in bytes {
                let begun = !element.is_empty();
                match byte {
                    // What stands between elements.
                    b',' | b' ' | b'\t' | b'\r' | b'\n' if !begun => {}
                    b']' if !begun => {
                        // The end; it is met again by every later call.
                        self.reader.consume(used);
                        self.offset += used as u64;
                        return Ok(None);
                    }
                    b',' | b']' if depth == 0 && !quoted => done = true,
                    _ => {
                        if quoted {
                            quoted = escaped || byte != b'"';
                            escaped = !escaped && byte == b'\\';
                        } else {
                            quoted = byte == b'"';
                            depth = match byte {
                                b'{' | b'[' => depth + 1,
                                b'}' | b']' => depth.saturating_sub(1),
                                _ => depth,
                            };
                        }
                        if element.len() < MAX_RECORD {
                            element.push(byte);
                        }
                    }
                }
                if done {
                    break;
                }
                used += 1;
            }
            self.reader.consume(used);
            self.offset += used as u64;
            if done {
                return Ok(Some(element));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn elements(text: &[u8]) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let mut elements = Elements::open(file.path(), 0).expect("opened");
        let mut found = Vec::new();
        let mut offsets = vec![elements.offset()];
        while let Some(element) = elements.read().expect("read") {
            found.push(String::from_utf8_lossy(&element).trim().to_string());
            offsets.push(elements.offset());
        }
        // From every offset the rest is read.
        for (at, offset) in offsets.into_iter().enumerate() {
            let mut rest = Elements::open(file.path(), offset).expect("opened");
            let next = rest.read().expect("read").map(|element| String::from_utf8_lossy(&element).trim().to_string());
            assert_eq!(next.as_ref(), found.get(at));
        }
        found
    }

    #[test]
    fn elements_are_told_apart() {
        let text = b"\xef\xbb\xbf [ {\"a\": \"x,]}\\\" {\", \"b\": [1, {}]},\n7 , \"s\",[ 1,2 ] , {} ]  ";
        assert_eq!(elements(text), ["{\"a\": \"x,]}\\\" {\", \"b\": [1, {}]}", "7", "\"s\"", "[ 1,2 ]", "{}"]);
        assert!(elements(b"[]").is_empty() && elements(b"").is_empty() && elements(b"[ ").is_empty());
        assert_eq!(elements(b"[{\"a\":1},{\"b\""), ["{\"a\":1}", "{\"b\""]);
        let long = [b"[\"".as_slice(), &vec![b'x'; 3 * MAX_RECORD], b"\",{}]"].concat();
        let found = elements(&long);
        assert_eq!((found.len(), found[0].len(), found[1].as_str()), (2, MAX_RECORD, "{}"));
    }

    proptest! {
        #[test]
        fn written_elements_come_back(texts in proptest::collection::vec("[\\PC\"\\\\{}\\[\\],:]{0,10}", 0..6)) {
            let list: Vec<serde_json::Value> = texts.iter().map(|text| serde_json::json!({"t": text, "n": [text]})).collect();
            let read: Vec<serde_json::Value> = elements(serde_json::Value::from(list.clone()).to_string().as_bytes())
                .iter().map(|element| serde_json::from_str(element).expect("JSON")).collect();
            prop_assert_eq!(read, list);
        }

        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            elements(&bytes);
        }
    }
}
