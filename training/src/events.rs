//! TensorBoard's event files: scalars by step, written by hand because the format is a few dozen bytes of protobuf.
//!
//! A file is a chain of records: length (u64, little endian), masked CRC32C of these 8 bytes, an `Event` message, masked
//! CRC32C of the message. Field numbers are those of tensorflow/core/util/event.proto and framework/summary.proto.

use crate::Error;
use shards::write_atomic;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// TensorBoard reads every file whose name has `tfevents` in it.
const FILE: &str = "events.out.tfevents.0.diptych";
/// Fields of `Event`.
const WALL_TIME: u64 = 1;
const STEP: u64 = 2;
const FILE_VERSION: u64 = 3;
const SUMMARY: u64 = 5;
/// `Summary.value`, `Value.tag`, `Value.simple_value`.
const VALUE: u64 = 1;
const TAG: u64 = 1;
const SIMPLE_VALUE: u64 = 2;
/// Protobuf wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// Writes scalars of one run.
pub struct EventWriter {
    file: File,
    path: PathBuf,
}

impl EventWriter {
    /// Opens the event file in `folder` to go on after `step`: what was written for later steps is dropped. A missing
    /// file is begun, a damaged end is cut off.
    ///
    /// # Errors
    /// `Shards` when the file cannot be read or written.
    pub fn resume(folder: &Path, step: u64) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let old = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(shards::Error::io("read", &path)(error).into()),
        };
        let mut kept = Vec::new();
        let mut rest = old.as_slice();
        while let Some(event) = next_record(&mut rest) {
            if step_of(event) <= step {
                push_record(&mut kept, event);
            }
        }
        if kept.is_empty() {
            let mut event = Vec::new();
            push_double(&mut event, WALL_TIME, 0.0);
            push_bytes(&mut event, FILE_VERSION, b"brain.Event:2");
            push_record(&mut kept, &event);
        }
        write_atomic(&path, &kept)?;
        let file = File::options().append(true).open(&path).map_err(shards::Error::io("open", &path))?;
        Ok(EventWriter { file, path })
    }

    /// Appends scalars of `step` at `time` (seconds since 1970).
    ///
    /// # Errors
    /// `Shards` on a full disk.
    pub fn scalars(&mut self, step: u64, time: f64, scalars: &[(&str, f64)]) -> Result<(), Error> {
        let mut summary = Vec::new();
        for &(tag, value) in scalars {
            let mut entry = Vec::new();
            push_bytes(&mut entry, TAG, tag.as_bytes());
            push_varint(&mut entry, SIMPLE_VALUE << 3 | FIXED32);
            entry.extend((value as f32).to_le_bytes());
            push_bytes(&mut summary, VALUE, &entry);
        }
        let mut event = Vec::new();
        push_double(&mut event, WALL_TIME, time);
        push_varint(&mut event, STEP << 3 | VARINT);
        push_varint(&mut event, step);
        push_bytes(&mut event, SUMMARY, &summary);
        let mut record = Vec::new();
        push_record(&mut record, &event);
        Ok(self.file.write_all(&record).map_err(shards::Error::io("write", &self.path))?)
    }
}

/// CRC32C as TensorFlow's records store it: rotated and offset, so that a sum over sums stays sound.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn push_record(out: &mut Vec<u8>, event: &[u8]) {
    let length = (event.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend(event);
    out.extend(masked_crc(event).to_le_bytes());
}

/// Takes the next whole record off `rest`; `None` at the end or where sums do not fit.
fn next_record<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<8>()?;
    let (sum, after) = after.split_first_chunk::<4>()?;
    if masked_crc(length) != u32::from_le_bytes(*sum) {
        return None;
    }
    let count = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let event = after.get(..count)?;
    let (sum, after) = after[count..].split_first_chunk::<4>()?;
    if masked_crc(event) != u32::from_le_bytes(*sum) {
        return None;
    }
    *rest = after;
    Some(event)
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn push_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    push_varint(out, field << 3 | BYTES);
    push_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn push_double(out: &mut Vec<u8>, field: u64, value: f64) {
    push_varint(out, field << 3 | FIXED64);
    out.extend(value.to_le_bytes());
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The next field of a message: its number, and its bytes or number.
fn take_field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, u64, &'a [u8])> {
    let key = take_varint(bytes)?;
    let (number, count) = match key & 7 {
        VARINT => (take_varint(bytes)?, 0),
        FIXED64 => (0, 8),
        FIXED32 => (0, 4),
        BYTES => (0, usize::try_from(take_varint(bytes)?).ok()?),
        _ => return None,
    };
    let (field, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some((key >> 3, number, field))
}

/// The step of an `Event`; 0 when it has none.
fn step_of(mut event: &[u8]) -> u64 {
    while let Some((field, number, _)) = take_field(&mut event) {
        if field == STEP {
            return number;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All scalars of a file: (step, tag, value).
    fn decode(folder: &Path) -> Vec<(u64, String, f32)> {
        let bytes = std::fs::read(folder.join(FILE)).expect("read");
        let mut rest = bytes.as_slice();
        let mut scalars = Vec::new();
        while let Some(event) = next_record(&mut rest) {
            let step = step_of(event);
            let mut event = event;
            while let Some((field, _, mut summary)) = take_field(&mut event) {
                while let Some((_, _, mut value)) = take_field(&mut summary).filter(|_| field == SUMMARY) {
                    let tag = take_field(&mut value).expect("a tag").2;
                    let number = take_field(&mut value).expect("a value").2;
                    let number = f32::from_le_bytes(number.try_into().expect("4 bytes"));
                    scalars.push((step, String::from_utf8_lossy(tag).into_owned(), number));
                }
            }
        }
        assert!(rest.is_empty(), "{} bytes were not read", rest.len());
        scalars
    }

    #[test]
    fn known_bytes() {
        // CRC32C of "123456789" is 0xe3069283 (RFC 3720 uses the same polynomial); masked as in TensorFlow's crc32c.h.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked_crc(b"123456789"), 0xc78a_b0e5);
        let dir = tempfile::tempdir().expect("a folder");
        EventWriter::resume(dir.path(), 0).expect("begun");
        let bytes = std::fs::read(dir.path().join(FILE)).expect("read");
        assert_eq!(bytes[..8], 24u64.to_le_bytes());
        assert_eq!(&bytes[12..], [&b"\x09\0\0\0\0\0\0\0\0\x1a\x0dbrain.Event:2"[..], &bytes[36..]].concat());
    }

    #[test]
    fn scalars_come_back_and_later_steps_are_dropped_on_resume() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |from: u64, to: u64| {
            let mut events = EventWriter::resume(dir.path(), from).expect("opened");
            for step in from + 1..=to {
                events.scalars(step, 1.5, &[("loss", step as f64 / 2.0), ("scale", 14.0)]).expect("written");
            }
        };
        write(0, 200);
        assert_eq!(decode(dir.path()).len(), 400);
        assert_eq!(decode(dir.path())[299], (150, "scale".to_string(), 14.0));
        write(120, 130);
        let scalars = decode(dir.path());
        assert_eq!(scalars.len(), 260);
        assert_eq!(scalars[258], (130, "loss".to_string(), 65.0));
        let path = dir.path().join(FILE);
        let bytes = std::fs::read(&path).expect("read");
        std::fs::write(&path, &bytes[..bytes.len() - 5]).expect("cut");
        write(129, 129);
        assert_eq!(decode(dir.path()).len(), 258);
    }

    proptest! {
        #[test]
        fn junk_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            step_of(&bytes);
            prop_assert!(next_record(&mut bytes.as_slice()).is_none());
        }
    }
}
