//! Counts that are too many for memory: sorted runs of keys and counts, in memory or spilled to disk, and their sum.
//!
//! A run holds its keys ascending, each written as what it has not in common with the one before. Runs are added up while they are
//! read side by side, so the sum is exact and needs a few KiB for each run.

use crate::Error;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Cursor, Error as IoError, ErrorKind, Result as IoResult, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Runs on disk at once; more are added up into one. Below the usual limit of 1,024 open files.
const MAX_FILES: usize = 200;
/// The longest key, in bytes: no page's text is longer.
const MAX_KEY: usize = 64 << 20;

/// All runs of one count. Its folder is made when the first is spilled, and removed with it.
pub(crate) struct Runs {
    folder: PathBuf,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    memory: Vec<Vec<u8>>,
    files: Vec<PathBuf>,
    made: u64,
}

impl Runs {
    /// Spills into `folder`, which must be nobody else's: what a killed program left there is removed.
    pub(crate) fn new(folder: PathBuf) -> Result<Self, Error> {
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(shards::Error::io("remove", &folder)(error).into()),
            _ => Ok(Runs { folder, held: Mutex::default() }),
        }
    }

    /// Number of runs that were spilled to disk.
    pub(crate) fn spilled(&self) -> u64 {
        self.lock().made
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        // Poisoned only when a worker panicked, and then that panic ends the whole count.
        self.held.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Adds a run that `write` writes, to disk if `spill`, else in memory.
    pub(crate) fn add(&self, spill: bool, write: impl FnOnce(&mut RunWriter<'_>) -> IoResult<()>) -> Result<(), Error> {
        if !spill {
            let mut run = Vec::new();
            write(&mut RunWriter::new(&mut run)).map_err(shards::Error::io("write", &self.folder))?;
            self.lock().memory.push(run);
            return Ok(());
        }
        let path = self.file(write)?;
        let mut held = self.lock();
        held.files.push(path);
        if held.files.len() < MAX_FILES {
            return Ok(());
        }
        // The lock is kept: whoever comes now would only add to what must be added up.
        let files = std::mem::take(&mut held.files);
        let number = held.made;
        held.made += 1;
        let whole = self.write_file(number, |writer| {
            let mut sums = Sums::of_files(&files)?;
            while sums.advance()? {
                writer.put(sums.key(), sums.count())?;
            }
            Ok(())
        })?;
        for file in files {
            std::fs::remove_file(&file).map_err(shards::Error::io("remove", &file))?;
        }
        held.files.push(whole);
        Ok(())
    }

    fn file(&self, write: impl FnOnce(&mut RunWriter<'_>) -> IoResult<()>) -> Result<PathBuf, Error> {
        let number = {
            let mut held = self.lock();
            held.made += 1;
            held.made - 1
        };
        self.write_file(number, write)
    }

    fn write_file(&self, number: u64, write: impl FnOnce(&mut RunWriter<'_>) -> IoResult<()>) -> Result<PathBuf, Error> {
        std::fs::create_dir_all(&self.folder).map_err(shards::Error::io("create folder", &self.folder))?;
        let path = self.folder.join(format!("{number}.run"));
        let file = File::create(&path).map_err(shards::Error::io("create", &path))?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        let written = write(&mut RunWriter::new(&mut file)).and_then(|()| file.flush());
        written.map_err(shards::Error::io("write", &path))?;
        Ok(path)
    }

    /// Calls `each` with every key in ascending order and the sum of its counts.
    pub(crate) fn sum(&self, mut each: impl FnMut(&[u8], u64)) -> Result<(), Error> {
        let held = self.lock();
        let mut read = || -> IoResult<()> {
            let mut sums = Sums::of_files(&held.files)?;
            for run in &held.memory {
                sums.push(Box::new(Cursor::new(run.as_slice())))?;
            }
            while sums.advance()? {
                each(sums.key(), sums.count());
            }
            Ok(())
        };
        Ok(read().map_err(shards::Error::io("read", &self.folder))?)
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        if self.lock().made > 0 {
            // What cannot be removed now is removed when the next list is made here.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Writes one run.
pub(crate) struct RunWriter<'a> {
    out: &'a mut dyn Write,
    last: Vec<u8>,
}

impl<'a> RunWriter<'a> {
    fn new(out: &'a mut dyn Write) -> Self {
        RunWriter { out, last: Vec::new() }
    }

    /// Writes a key, which must come after the one before, and its count.
    pub(crate) fn put(&mut self, key: &[u8], count: u64) -> IoResult<()> {
        let same = self.last.iter().zip(key).take_while(|(a, b)| a == b).count();
        let mut head = [0; 30];
        let mut length = 0;
        for number in [same as u64, (key.len() - same) as u64, count] {
            length += encode(number, &mut head[length..]);
        }
        self.out.write_all(&head[..length])?;
        self.out.write_all(&key[same..])?;
        self.last.truncate(same);
        self.last.extend_from_slice(&key[same..]);
        Ok(())
    }
}

/// Writes a number in groups of 7 bits, lowest first; gives the number of bytes.
fn encode(mut number: u64, out: &mut [u8]) -> usize {
    let mut length = 0;
    while number >= 0x80 {
        out[length] = number as u8 | 0x80;
        number >>= 7;
        length += 1;
    }
    out[length] = number as u8;
    length + 1
}

/// A run being read: the key and count it stands at.
struct Cursored<'a> {
    input: Box<dyn BufRead + 'a>,
    key: Vec<u8>,
    count: u64,
}

impl Cursored<'_> {
    /// Goes to the next key; false at the end of the run.
    fn advance(&mut self) -> IoResult<bool> {
        if self.input.fill_buf()?.is_empty() {
            return Ok(false);
        }
        let (same, new) = (self.number()? as usize, self.number()? as usize);
        self.count = self.number()?;
        if same > self.key.len() || new > MAX_KEY {
            return Err(IoError::new(ErrorKind::InvalidData, "a spilled run is damaged"));
        }
        self.key.resize(same + new, 0);
        self.input.read_exact(&mut self.key[same..])?;
        Ok(true)
    }

    fn number(&mut self) -> IoResult<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let mut byte = [0];
            self.input.read_exact(&mut byte)?;
            number |= u64::from(byte[0] & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte[0] < 0x80 {
                return Ok(number);
            }
            shift += 7;
        }
    }
}

impl PartialEq for Cursored<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for Cursored<'_> {}
impl PartialOrd for Cursored<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Cursored<'_> {
    /// The least key is the greatest here: the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.key.cmp(&self.key)
    }
}

/// Reads runs side by side.
#[derive(Default)]
struct Sums<'a> {
    heap: BinaryHeap<Cursored<'a>>,
    key: Vec<u8>,
    count: u64,
}

impl<'a> Sums<'a> {
    fn of_files(files: &[PathBuf]) -> IoResult<Self> {
        let mut sums = Sums::default();
        for file in files {
            sums.push(Box::new(BufReader::with_capacity(1 << 16, open(file)?)))?;
        }
        Ok(sums)
    }

    fn push(&mut self, input: Box<dyn BufRead + 'a>) -> IoResult<()> {
        let mut run = Cursored { input, key: Vec::new(), count: 0 };
        if run.advance()? {
            self.heap.push(run);
        }
        Ok(())
    }

    /// Goes to the next key of all; false at the end.
    fn advance(&mut self) -> IoResult<bool> {
        let Some(first) = self.heap.peek() else { return Ok(false) };
        self.key.clone_from(&first.key);
        self.count = 0;
        while let Some(mut first) = self.heap.peek_mut().filter(|first| first.key == self.key) {
            self.count += first.count;
            if !first.advance()? {
                PeekMut::pop(first);
            }
        }
        Ok(true)
    }

    fn key(&self) -> &[u8] {
        &self.key
    }

    fn count(&self) -> u64 {
        self.count
    }
}

fn open(path: &Path) -> IoResult<File> {
    File::open(path).map_err(|error| IoError::new(error.kind(), format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn many_files_become_one_and_the_folder_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("runs");
        std::fs::create_dir(&place).expect("made");
        std::fs::write(place.join("left"), "by a killed program").expect("written");
        let runs = Runs::new(place.clone()).expect("fresh");
        assert!(!place.exists());
        for i in 0..2 * MAX_FILES as u64 + 5 {
            runs.add(true, |run| run.put(b"a", i).and_then(|()| run.put(format!("b{i}").as_bytes(), 1))).expect("written");
        }
        assert!(std::fs::read_dir(&place).expect("listed").count() < MAX_FILES);
        let mut sums = Vec::new();
        runs.sum(|key, count| sums.push((key.to_vec(), count))).expect("read");
        let n = 2 * MAX_FILES as u64 + 5;
        assert_eq!((sums[0].clone(), sums.len() as u64), ((b"a".to_vec(), n * (n - 1) / 2), n + 1));
        drop(runs);
        assert!(!place.exists());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn sums_are_those_of_one_map(runs in proptest::collection::vec(
            (any::<bool>(), proptest::collection::btree_map("[ab\\x00]{0,6}", 1u64..1 << 40, 0..20)), 0..6)
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let all = Runs::new(folder.path().join("runs")).expect("fresh");
            let mut expected = BTreeMap::new();
            for (spill, run) in &runs {
                run.iter().for_each(|(key, count)| *expected.entry(key.clone().into_bytes()).or_insert(0) += count);
                all.add(*spill, |writer| run.iter().try_for_each(|(key, count)| writer.put(key.as_bytes(), *count))).expect("written");
            }
            let mut found = BTreeMap::new();
            all.sum(|key, count| assert!(found.insert(key.to_vec(), count).is_none())).expect("read");
            prop_assert_eq!(found, expected);
        }
    }
}
