//! The sum of a table's own bytes, kept inside it: a flipped bit anywhere in the file is found without another copy of it.
//!
//! The note `diptych.sum` is the BLAKE3 of the file with 64 zeros in place of that very sum. It stands in the footer, which
//! Parquet writes last: the bytes before it are summed as they pass, the footer is held back until the sum is known.

use crate::{AtomicFile, Error, store};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

/// The footer's key of the sum.
pub(crate) const SUM_KEY: &str = "diptych.sum";
/// What stands for the sum until it is known, and while it is computed.
pub(crate) const NO_SUM: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Parquet's last bytes: the footer's length as 4 bytes, little-endian, and `PAR1`.
const TAIL: u64 = 8;
/// Longest footer believed, in bytes; a table of 65,536 row groups has less.
const MAX_FOOTER: u64 = 1 << 30;

/// The file under a Parquet writer that does not give it back: all clones are one file.
#[derive(Clone)]
pub(crate) struct Summed(Arc<Mutex<State>>);

struct State {
    /// Gone once committed.
    file: Option<AtomicFile>,
    hasher: blake3::Hasher,
    /// What came since the footer began.
    footer: Option<Vec<u8>>,
}

impl Summed {
    /// Begins a file that appears at `path` when committed.
    ///
    /// # Errors
    /// `Io` when it cannot be made.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let state = State { file: Some(AtomicFile::create(path)?), hasher: blake3::Hasher::new(), footer: None };
        Ok(Summed(Arc::new(Mutex::new(state))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Says that whatever is written from now on is the footer.
    pub(crate) fn begin_footer(&self) {
        self.state().footer = Some(Vec::new());
    }

    /// Puts the sum into the footer, writes it and renames the file into place.
    ///
    /// # Errors
    /// `Io` on a full disk; nothing is at the path then.
    pub(crate) fn commit(&self) -> Result<(), Error> {
        let mut state = self.state();
        let mut footer = state.footer.take().unwrap_or_default();
        let Some(mut file) = state.file.take() else { return Ok(()) };
        state.hasher.update(&footer);
        if let Some(at) = place(&footer) {
            footer[at..at + NO_SUM.len()].copy_from_slice(state.hasher.finalize().to_hex().as_bytes());
        }
        let path = file.path().to_path_buf();
        file.write_all(&footer).map_err(Error::io("write", &path))?;
        file.commit()
    }
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut state = self.state();
        if let Some(footer) = &mut state.footer {
            footer.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        let file = state.file.as_mut().ok_or_else(|| std::io::Error::other("table already finished"))?;
        let n = file.write(bytes)?;
        state.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Where a footer holds the sum: 64 hex digits shortly behind the last mention of its key. Text of rows may hold the key too
/// (as a column's least value), but lies before the notes.
fn place(footer: &[u8]) -> Option<usize> {
    let key = footer.windows(SUM_KEY.len()).rposition(|window| window == SUM_KEY.as_bytes())? + SUM_KEY.len();
    // Between key and value lie a few bytes of Thrift: a field's type and a length.
    let is_sum = |at: &usize| footer.get(*at..at + NO_SUM.len()).is_some_and(|text| text.iter().all(u8::is_ascii_hexdigit));
    (key..key + 8).find(is_sum)
}

/// Compares the bytes of the table at `path` with the sum it carries. `Ok(false)` when it carries none: another program,
/// or an older version, wrote it. `meter` gets the bytes read.
///
/// # Errors
/// `Io` when it cannot be read, `Json` when the sum is another one or the file does not end as Parquet does.
pub fn check_sum(path: &Path, meter: impl Fn(u64)) -> Result<bool, Error> {
    let file = store::local(path)?;
    let size = file.metadata().map_err(Error::io("inspect", path))?.len();
    let damaged = |why: &str| Error::Json { path: path.to_path_buf(), why: why.to_string() };
    let read_at = |offset: u64, length: u64| {
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, offset).map_err(Error::io("read", path)).map(|()| bytes)
    };
    let tail = read_at(size.checked_sub(TAIL).ok_or_else(|| damaged("too short for a Parquet file"))?, TAIL)?;
    if &tail[4..] != b"PAR1" {
        return Err(damaged("it does not end as a Parquet file does: it is cut off"));
    }
    let length = TAIL + u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if length > size.min(MAX_FOOTER) {
        return Err(damaged("its footer is longer than the file: it is damaged"));
    }
    let mut footer = read_at(size - length, length)?;
    let Some(at) = place(&footer) else { return Ok(false) };
    let said = footer[at..at + NO_SUM.len()].to_vec();
    footer[at..at + NO_SUM.len()].copy_from_slice(NO_SUM.as_bytes());
    let mut hasher = blake3::Hasher::new();
    let mut body = (&file).take(size - length);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match body.read(&mut buffer).map_err(Error::io("read", path))? {
            0 => break,
            n => {
                hasher.update(&buffer[..n]);
                meter(n as u64);
            }
        }
    }
    meter(length);
    if hasher.update(&footer).finalize().to_hex().as_bytes() == said.as_slice() {
        return Ok(true);
    }
    Err(damaged("its bytes are not those that were written: their sum differs from the one inside"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PairId, Reason, TableReader, TableWriter};

    fn table(path: &Path, rows: u32) {
        let row = |i: u32| Reason {
            pair_id: PairId::new("http://a/", &i.to_string()),
            kept: i.is_multiple_of(2),
            // Hostile text: statistics in the footer hold it too.
            reason: format!("{SUM_KEY}{NO_SUM}"),
            value: String::new(),
        };
        TableWriter::write_all(path, &[("some", "note")], (0..rows).map(row)).expect("written");
    }

    #[test]
    fn every_flipped_byte_is_found() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.parquet");
        for rows in [0, 1, 300] {
            table(&path, rows);
            assert!(check_sum(&path, |_| ()).expect("read"), "{rows} rows");
            assert_eq!(TableReader::<Reason>::read_all(&path).expect("read").len(), rows as usize);
        }
        let whole = std::fs::read(&path).expect("read");
        for at in (0..whole.len()).step_by(7).chain(whole.len() - 80..whole.len()) {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            std::fs::write(&path, &flipped).expect("written");
            assert!(!matches!(check_sum(&path, |_| ()), Ok(true)), "byte {at} of {}", whole.len());
        }
        for length in [0, 3, 8, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).expect("cut");
            assert!(check_sum(&path, |_| ()).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_table_of_another_program_has_no_sum() {
        use polars::prelude::{Column, DataFrame, ParquetWriter};
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.parquet");
        let mut frame = DataFrame::new(2, vec![Column::new("a".into(), [1, 2])]).expect("a table");
        ParquetWriter::new(std::fs::File::create(&path).expect("made")).finish(&mut frame).expect("written");
        assert!(!check_sum(&path, |_| ()).expect("read"));
    }
}
