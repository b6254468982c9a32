//! WARC files (ISO 28500): records one after the other, packed or plain, from the start or from a remembered place.
//!
//! Damage costs the record in which it lies: reading goes on at the next thing that looks like the beginning of a record. Only one
//! record is in memory at a time.

use crate::gzip::{Gunzip, MAGIC, Step};
use memchr::{memchr_iter, memmem};
use serde::{Deserialize, Serialize};
use std::io::{Cursor, Read, Result};

/// Longest head of a record, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// Longest block that is read. Common Crawl cuts pages at 5 MiB; its longest WAT records stay below 20.
const MAX_BLOCK: usize = 32 << 20;
/// Bytes of a plain file read at a time, and consumed bytes kept before they are dropped.
const CHUNK: usize = 256 << 10;
/// What a record begins with.
const VERSION: &[u8] = b"WARC/";
/// Length of the longest first line of a record, `WARC/1.0` with its line end.
const VERSION_LINE: usize = VERSION.len() + 5;

/// A place between two records: where a gzip member begins, and how many records after it were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) offset: u64,
    pub(crate) skip: u64,
    /// Whether the file is packed, once that is known: what stands at the offset may be damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) packed: Option<bool>,
}

/// A record: its head, and its block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    head: &'a [u8],
    /// The octets of the block.
    pub(crate) block: &'a [u8],
}

impl<'a> Record<'a> {
    /// The first field of this name, in any case.
    pub(crate) fn field(&self, name: &str) -> Option<&'a str> {
        field(self.head, name)
    }
}

/// The value of the first line `name: value` of a head.
pub(crate) fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|&byte| byte == b'\n').find_map(|line| {
        let value = line.get(name.len()..)?.strip_prefix(b":")?;
        line[..name.len()].eq_ignore_ascii_case(name.as_bytes()).then(|| std::str::from_utf8(value.trim_ascii()).ok())?
    })
}

/// Where the head of a record or of an HTTP message ends, and where its body begins: around the first empty line, whose end may be a
/// line feed alone, as files made by hand have it.
pub(crate) fn head_end(bytes: &[u8]) -> Option<(usize, usize)> {
    memchr_iter(b'\n', bytes).find_map(|line| {
        let body = match bytes.get(line + 1)? {
            b'\n' => line + 2,
            b'\r' if bytes.get(line + 2) == Some(&b'\n') => line + 3,
            _ => return None,
        };
        Some((line - usize::from(line > 0 && bytes[line - 1] == b'\r'), body))
    })
}

/// Whether bytes are a record's beginning with its whole head.
fn begins_record(bytes: &[u8]) -> bool {
    let end = || head_end(&bytes[..bytes.len().min(MAX_HEAD)]);
    bytes.starts_with(VERSION) && end().is_some_and(|(end, _)| field(&bytes[..end], "Content-Length").is_some())
}

/// Whether bytes begin with a record's whole first line.
fn begins_line(bytes: &[u8]) -> bool {
    let version = bytes.strip_prefix(VERSION).and_then(|rest| rest.split_first_chunk::<3>());
    version.is_some_and(|([major, dot, minor], end)| {
        major.is_ascii_digit() && *dot == b'.' && minor.is_ascii_digit() && (end.starts_with(b"\n") || end.starts_with(b"\r\n"))
    })
}

/// Where the next record begins in bytes that begin with none: where a line does so, or after bytes that are no line.
fn next_version(bytes: &[u8]) -> Option<usize> {
    memmem::find_iter(bytes, VERSION).find(|&at| at > 0 && (bytes[at - 1] == b'\n' || begins_line(&bytes[at..])))
}

/// Whether a file is packed: by what it begins with, and if that is damaged, by its name and by what comes first in its first bytes, the
/// beginning of a member or that of a record, which members that are not compressed hold too.
fn is_packed(bytes: &[u8], named_packed: bool) -> bool {
    if begins_line(bytes) {
        return false;
    }
    match (memmem::find(bytes, &MAGIC), next_version(bytes)) {
        (None, None) => named_packed,
        (Some(member), Some(record)) => member < record || named_packed,
        (member, _) => member.is_some(),
    }
}

enum Bytes<R> {
    Packed(Box<Gunzip<R>>),
    Plain(R, u64),
}

/// Where a record lies in the buffer.
enum Located {
    Whole { head: (usize, usize), block: (usize, usize) },
    Damaged,
    End,
}

/// Reads the records of a file.
pub(crate) struct Records<R> {
    bytes: Bytes<R>,
    /// Unpacked bytes; those before `at` are done with.
    data: Vec<u8>,
    at: usize,
    /// Where in `data` the member in work began, or the last one.
    mark: Option<usize>,
    /// Whether `at` is where a record should begin, after damage.
    is_start: bool,
    anchor: Position,
    /// Records that were read.
    pub(crate) whole: u64,
    /// Records that could not be read.
    pub(crate) damaged: u64,
    /// Records whose block is too long to be read.
    pub(crate) oversize: u64,
}

type Whole<R> = std::io::Chain<Cursor<Vec<u8>>, R>;

impl<R: Read> Records<Whole<R>> {
    /// Reads `input`, which was opened at the position's offset. `named_packed` says what the file's name does, for a file whose bytes
    /// do not show it.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub(crate) fn new(mut input: R, from: Position, named_packed: bool) -> Result<Self> {
        let mut start = Vec::new();
        let packed = match from.packed {
            Some(packed) => packed,
            None => {
                (&mut input).take(VERSION_LINE as u64).read_to_end(&mut start)?;
                if !start.starts_with(&MAGIC) && !begins_line(&start) {
                    (&mut input).take(CHUNK as u64).read_to_end(&mut start)?;
                }
                is_packed(&start, named_packed)
            }
        };
        let input = Cursor::new(start).chain(input);
        let bytes = if packed { Bytes::Packed(Box::new(Gunzip::new(input, from.offset))) } else { Bytes::Plain(input, from.offset) };
        let anchor = Position { offset: from.offset, skip: 0, packed: Some(packed) };
        let mut records =
            Records { bytes, data: Vec::new(), at: 0, mark: None, is_start: false, anchor, whole: 0, damaged: 0, oversize: 0 };
        for _ in 0..from.skip {
            records.next()?;
        }
        // Counted by the reader before us.
        (records.whole, records.damaged, records.oversize) = (0, 0, 0);
        Ok(records)
    }
}

impl<R: Read> Records<R> {
    /// From where the next record can be read by another reader.
    pub(crate) fn position(&mut self) -> Position {
        self.settle();
        self.anchor
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>> {
        let (head, block) = loop {
            self.settle();
            match self.locate()? {
                Located::End => return Ok(None),
                Located::Whole { head, block } => break (head, block),
                Located::Damaged => {
                    self.damaged += 1;
                    self.find_record()?;
                }
            }
        };
        self.at = block.1;
        self.anchor.skip += 1;
        self.whole += 1;
        Ok(Some(Record { head: &self.data[head.0..head.1], block: &self.data[block.0..block.1] }))
    }

    /// Forgets what was read, and remembers where we are if that is a place to begin at.
    fn settle(&mut self) {
        while self.data.get(self.at).is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            self.at += 1;
        }
        // Not for each stretch of a long member: what is behind has to move.
        if self.at == self.data.len() || self.at > CHUNK.max(self.data.len() / 2) {
            self.forget();
        }
        match &self.bytes {
            Bytes::Packed(gunzip) if self.data.is_empty() && gunzip.is_between() => {
                self.anchor = Position { offset: gunzip.offset(), skip: 0, ..self.anchor };
            }
            Bytes::Packed(_) => {}
            Bytes::Plain(_, offset) => {
                self.anchor = Position { offset: offset - (self.data.len() - self.at) as u64, skip: 0, ..self.anchor };
            }
        }
    }

    /// Drops the bytes before `at`.
    fn forget(&mut self) {
        self.data.drain(..self.at);
        self.mark = self.mark.and_then(|mark| mark.checked_sub(self.at));
        self.at = 0;
    }

    /// Reads some more bytes, and notes where a member begins. After damage nothing read is of use.
    fn grow(&mut self) -> Result<Step> {
        let step = match &mut self.bytes {
            Bytes::Packed(gunzip) => {
                if gunzip.is_between() {
                    self.mark = Some(self.data.len());
                }
                gunzip.step(&mut self.data)?
            }
            Bytes::Plain(input, offset) => {
                let read = input.take(CHUNK as u64).read_to_end(&mut self.data)?;
                *offset += read as u64;
                if read == 0 { Step::End } else { Step::Data }
            }
        };
        if step == Step::Damaged {
            (self.at, self.mark, self.is_start) = (self.data.len(), None, true);
        }
        Ok(step)
    }

    /// Whether all bytes of the members read so far are there.
    fn is_between(&self) -> bool {
        matches!(&self.bytes, Bytes::Packed(gunzip) if gunzip.is_between())
    }

    /// Finds the ends of the record that begins at `at`, reading as much as it takes.
    fn locate(&mut self) -> Result<Located> {
        while self.data.get(self.at).is_none_or(|byte| matches!(byte, b'\r' | b'\n')) {
            if self.at < self.data.len() {
                self.at += 1;
                continue;
            }
            match self.grow()? {
                Step::End => return Ok(Located::End),
                Step::Damaged => return Ok(Located::Damaged),
                Step::Data | Step::MemberEnd => {}
            }
        }
        let (length, begin) = loop {
            let seen = &self.data[self.at..];
            if !seen.starts_with(&VERSION[..VERSION.len().min(seen.len())]) {
                return Ok(Located::Damaged);
            }
            if let Some(found) = head_end(&seen[..seen.len().min(MAX_HEAD)]) {
                break found;
            }
            if seen.len() >= MAX_HEAD || matches!(self.grow()?, Step::End | Step::Damaged) {
                return Ok(Located::Damaged);
            }
        };
        let (head, begin) = ((self.at, self.at + length), self.at + begin);
        // A head may be cut by members too, but no line of it looks like a record's first.
        if let Some(mark) = self.mark.filter(|mark| (self.at + 1..begin).contains(mark) && self.data[*mark..].starts_with(VERSION)) {
            (self.at, self.is_start) = (mark, true);
            return Ok(Located::Damaged);
        }
        let Some(block) = field(&self.data[head.0..head.1], "Content-Length").and_then(|text| text.parse::<usize>().ok()) else {
            return Ok(Located::Damaged);
        };
        if block > MAX_BLOCK {
            self.oversize += 1;
            self.at = begin;
            return self.pass_by(block);
        }
        let end = begin + block;
        // On to the end of its member, where there is one, so that its sum has been compared.
        while self.data.len() <= end + 4 && !(self.is_between() && self.data.len() >= end) {
            match self.grow()? {
                Step::End if self.data.len() >= end => break,
                Step::End | Step::Damaged => return Ok(Located::Damaged),
                Step::Data | Step::MemberEnd => {}
            }
            // Members may be cut anywhere; but one that begins as a record does means that this one says a wrong length.
            if let Some(mark) = self.mark.filter(|mark| (self.at + 1..end).contains(mark) && begins_record(&self.data[*mark..])) {
                (self.at, self.is_start) = (mark, true);
                return Ok(Located::Damaged);
            }
        }
        Ok(Located::Whole { head, block: (begin, end) })
    }

    /// Reads past `left` bytes of a block, keeping nothing, and finds the record after it.
    fn pass_by(&mut self, mut left: usize) -> Result<Located> {
        loop {
            let ready = left.min(self.data.len() - self.at);
            (self.at, left) = (self.at + ready, left - ready);
            self.forget();
            if left == 0 {
                return self.locate();
            }
            match self.grow()? {
                Step::End | Step::Damaged => return Ok(Located::Damaged),
                Step::Data | Step::MemberEnd => {}
            }
            // As in `locate`: a record that begins in there means that the length is wrong.
            if let Some(mark) = self.mark.filter(|mark| (self.at..self.at + left).contains(mark) && begins_record(&self.data[*mark..])) {
                (self.at, self.is_start) = (mark, true);
                return Ok(Located::Damaged);
            }
        }
    }

    /// Goes to the next place at which a record may begin.
    fn find_record(&mut self) -> Result<()> {
        while !std::mem::take(&mut self.is_start) {
            if let Some(found) = next_version(&self.data[self.at..]) {
                self.at += found;
                return Ok(());
            }
            if let Some(mark) = self.mark.filter(|mark| *mark > self.at) {
                self.at = mark;
                return Ok(());
            }
            // What is left may be cut in a first line; the byte before it tells whether it begins one.
            self.at = self.data.len().saturating_sub(VERSION_LINE).max(self.at);
            self.forget();
            if self.grow()? == Step::End {
                self.at = self.data.len();
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    fn record(number: usize, block: &str) -> Vec<u8> {
        format!(
            "WARC/1.0\r\nWARC-Type: response\r\nwarc-target-uri: http://e.org/{number}\r\nContent-Length: {}\r\n\r\n{block}\r\n\r\n",
            block.len()
        )
        .into_bytes()
    }

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(bytes).expect("packed");
        packer.finish().expect("packed")
    }

    fn open(bytes: &[u8], from: Position) -> Records<Whole<&[u8]>> {
        Records::new(&bytes[from.offset as usize..], from, false).expect("opened")
    }

    /// Numbers and blocks of the records, and how many were damaged.
    fn all(bytes: &[u8]) -> (Vec<(String, String)>, u64) {
        let mut records = open(bytes, Position::default());
        let mut found = Vec::new();
        while let Some(record) = records.next().expect("read") {
            let uri = record.field("WARC-Target-URI").unwrap_or_default();
            found.push((uri.trim_start_matches("http://e.org/").to_string(), String::from_utf8_lossy(record.block).into_owned()));
        }
        (found, records.damaged)
    }

    fn numbers(bytes: &[u8]) -> (Vec<String>, u64) {
        let (found, damaged) = all(bytes);
        (found.into_iter().map(|(number, _)| number).collect(), damaged)
    }

    /// The same records packed each alone, all as one member, in members that cut records, and plain.
    fn forms(blocks: &[&str]) -> [Vec<u8>; 4] {
        let records: Vec<Vec<u8>> = blocks.iter().enumerate().map(|(number, block)| record(number, block)).collect();
        let plain = records.concat();
        [records.iter().flat_map(|record| pack(record)).collect(), pack(&plain), plain.chunks(100).flat_map(pack).collect(), plain]
    }

    #[test]
    fn records_are_read_in_every_form_and_from_every_place() {
        let long = "x\r\n\r\nWARC/1.0\r\n".repeat(30_000);
        let blocks = ["one", "", "\r\n\r\n", &long, "five"];
        for (form, bytes) in forms(&blocks).iter().enumerate() {
            let (found, damaged) = all(bytes);
            assert_eq!(damaged, 0, "form {form}");
            assert_eq!(found.iter().map(|(_, block)| block.as_str()).collect::<Vec<_>>(), blocks, "form {form}");
            let mut records = open(bytes, Position::default());
            for (number, expected) in blocks.iter().enumerate() {
                let mut later = open(bytes, records.position());
                let block = later.next().expect("read").expect("a record").block.to_vec();
                assert_eq!(block, expected.as_bytes(), "form {form}, record {number}");
                records.next().expect("read");
            }
            assert!(open(bytes, records.position()).next().expect("read").is_none());
        }
    }

    #[test]
    fn a_length_beyond_what_is_read_costs_one_record() {
        for length in [MAX_BLOCK + 1, 100 << 20, MAX_BLOCK - 1] {
            let wrong = format!("WARC/1.0\r\nWARC-Type: response\r\nContent-Length: {length}\r\n\r\nshort\r\n\r\n");
            let members = [record(0, "a"), wrong.into_bytes(), record(2, "b"), record(3, "c")];
            let (found, damaged) = numbers(&members.iter().flat_map(|member| pack(member)).collect::<Vec<_>>());
            assert_eq!(found, ["0", "2", "3"], "{length}");
            assert!(damaged >= 1);
        }
    }

    #[test]
    fn damage_costs_one_record() {
        let one = |number| record(number, &"some words ".repeat(50));
        let mut wrong = pack(&one(1));
        let middle = wrong.len() - 5;
        wrong[middle] ^= 0xff;
        let cut = |number| pack(&one(number))[..40].to_vec();
        let short = pack(b"WARC/1.0\r\nContent-Length: 5000\r\n\r\nmissing");
        let long = pack(b"WARC/1.0\r\nContent-Length: 2\r\n\r\nmore than two\r\n\r\n");
        let headless = pack(b"nothing of the kind\r\n\r\n");
        let unsized_ = pack(b"WARC/1.0\r\nContent-Length: many\r\n\r\n\r\n\r\n");
        for (name, bad) in [("sum", wrong), ("cut", cut(1)), ("short", short), ("headless", headless), ("unsized", unsized_)] {
            assert_eq!(numbers(&[pack(&one(0)), bad, pack(&one(2))].concat()), (vec!["0".to_string(), "2".to_string()], 1), "{name}");
        }
        // What the length leaves over is the damage; the record itself is as long as it says.
        let (found, damaged) = numbers(&[pack(&one(0)), long, pack(&one(2))].concat());
        assert_eq!((found.len(), damaged), (3, 1));
        assert_eq!(numbers(&[pack(&one(0)), cut(1)].concat()), (vec!["0".to_string()], 1));
        let plain = [one(0), b"garbage\r\n".to_vec(), one(2)].concat();
        assert_eq!(numbers(&plain), (vec!["0".to_string(), "2".to_string()], 1));
        let endless = [one(0), vec![b'x'; 3 * CHUNK], b"\r\n".to_vec(), one(2)].concat();
        assert_eq!(numbers(&endless).0.len(), 2);
    }

    /// Reads a file in parts of `size` records, each by a reader of its own that begins where the one before said; numbers of the
    /// records, and how many were damaged.
    fn in_parts(bytes: &[u8], size: usize, named_packed: bool) -> (Vec<usize>, u64) {
        let (mut from, mut found, mut damaged) = (Position::default(), Vec::new(), 0);
        loop {
            let mut records = Records::new(&bytes[from.offset as usize..], from, named_packed).expect("opened");
            let mut before = (from, 0);
            for number in 0.. {
                before = (records.position(), records.damaged);
                let Some(record) = records.next().expect("read") else { return (found, damaged + records.damaged) };
                if number == size {
                    break;
                }
                let uri = record.field("WARC-Target-URI").unwrap_or_default();
                found.push(uri.trim_start_matches("http://e.org/").parse().expect("a number"));
            }
            damaged += before.1;
            from = before.0;
        }
    }

    #[test]
    fn damage_costs_itself_wherever_parts_begin() {
        // Bytes without an order, and without the beginning of a member.
        let noise: Vec<u8> =
            (1..334u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 | 1).map(|b| if b == 0x1f { 3 } else { b }).collect();
        let records: Vec<Vec<u8>> = (0..40).map(|number| record(number, &"some words ".repeat(20))).collect();
        let whole: Vec<usize> = (0..40).collect();
        for bad in [0, 9, 10, 19, 20] {
            let put = |pack: fn(&[u8]) -> Vec<u8>| -> Vec<u8> {
                let parts = records.iter().enumerate();
                parts.flat_map(|(number, record)| [if number == bad { noise.clone() } else { Vec::new() }, pack(record)].concat()).collect()
            };
            for (form, bytes) in [put(pack), put(<[u8]>::to_vec)].iter().enumerate() {
                for size in [5, 7, 10, 100] {
                    assert_eq!(in_parts(bytes, size, false), (whole.clone(), 1), "form {form}, noise before {bad}, parts of {size}");
                }
            }
        }
        // One wrong byte where the file begins costs the record that it lies in.
        for (first, packed) in [(0x1e, pack as fn(&[u8]) -> Vec<u8>), (b'X', <[u8]>::to_vec as fn(&[u8]) -> Vec<u8>)] {
            let mut bytes: Vec<u8> = records.iter().flat_map(|record| packed(record)).collect();
            bytes[0] = first;
            assert_eq!(in_parts(&bytes, 10, false), (whole[1..].to_vec(), 1), "{first}");
        }
        // Noise that is longer than what is looked at: the name decides.
        let bytes = [noise.repeat(1000), records.iter().flat_map(|record| pack(record)).collect()].concat();
        assert_eq!(in_parts(&bytes, 10, true), (whole, 1));
    }

    #[test]
    fn heads_may_end_their_lines_with_line_feeds() {
        assert_eq!(head_end(b"a: b\r\nc: d\r\n\r\nbody\n\n"), Some((10, 14)));
        assert_eq!(head_end(b"a: b\nc: d\n\nbody"), Some((9, 11)));
        assert_eq!(head_end(b"a: b\n\r\nbody"), Some((4, 7)));
        assert_eq!(head_end(b"a: b\r\n\r"), None);
        let lean = |number| String::from_utf8(record(number, "lean")).expect("text").replace("\r\n", "\n").into_bytes();
        let own = |number: &str, block: &str| (number.to_string(), block.to_string());
        let expected = vec![own("0", "a"), own("1", "lean"), own("2", "c")];
        for parts in [[record(0, "a"), lean(1), record(2, "c")], [record(0, "a"), lean(1), record(2, "c")].map(|part| pack(&part))] {
            assert_eq!(all(&parts.concat()), (expected.clone(), 0));
        }
    }

    #[test]
    fn a_head_without_an_end_takes_no_other_record() {
        let endless = pack(b"WARC/1.0\r\nWARC-Target-URI: http://e.org/1\r\nContent-Length: 5\r\n");
        let (found, damaged) = all(&[pack(&record(0, "a")), endless, pack(&record(2, "c"))].concat());
        assert_eq!((found, damaged), (vec![("0".to_string(), "a".to_string()), ("2".to_string(), "c".to_string())], 1));
    }

    #[test]
    fn long_blocks_are_passed_by() {
        let bytes = [record(0, "a"), record(1, &"x".repeat(MAX_BLOCK + 1)), record(2, "c")].concat();
        for bytes in [pack(&bytes), bytes] {
            let mut records = open(&bytes, Position::default());
            assert_eq!(records.next().expect("read").expect("a record").block, b"a");
            assert_eq!(records.next().expect("read").expect("a record").block, b"c");
            assert_eq!((records.oversize, records.damaged), (1, 0));
        }
    }

    proptest! {
        /// Whatever is changed in a file, reading ends, and untouched records before the damage are all there.
        #[test]
        fn mutated_files_end(form in 0usize..4, changes in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..4, any::<u8>()), 0..6)) {
            let blocks: Vec<String> = (0..8).map(|number| format!("block {number} ").repeat(number * 20)).collect();
            let blocks: Vec<&str> = blocks.iter().map(String::as_str).collect();
            let mut bytes = forms(&blocks)[form].clone();
            let mut first = bytes.len();
            for (index, kind, value) in changes {
                if bytes.is_empty() {
                    break;
                }
                let at = index.index(bytes.len());
                first = first.min(at);
                match kind {
                    0 => bytes[at] ^= value,
                    1 => bytes.truncate(at),
                    2 => drop(bytes.drain(at..(at + usize::from(value)).min(bytes.len()))),
                    _ => bytes.insert(at, value),
                }
            }
            let (found, _) = all(&bytes);
            prop_assert!(found.len() <= 16);
            if form == 3 {
                let whole = (0..8).filter(|number| forms(&blocks[..number + 1])[3].len() <= first).count();
                prop_assert!(found.len() >= whole, "{} of {}", found.len(), whole);
            }
        }
    }
}
