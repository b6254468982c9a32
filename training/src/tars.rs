//! Reading parts of archives by position, from many threads; they may lie in an object store.

use crate::Error;
use shards::{Extent, Stored, read_extent};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Archives kept open at once. A corpus may have tens of thousands of them, more than a process may open.
const OPEN: usize = 256;

/// An archive that is held open, with its number.
type Slot = Mutex<Option<(u32, Arc<Stored>)>>;

/// The archives of a corpus by number; some of them are held open.
pub(crate) struct Tars {
    paths: Vec<PathBuf>,
    /// Each archive has one slot, which it shares with few others.
    open: Vec<Slot>,
}

impl Tars {
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Tars { paths, open: (0..OPEN).map(|_| Mutex::new(None)).collect() }
    }

    /// Where archive `tar` lies.
    pub fn path(&self, tar: u32) -> &Path {
        &self.paths[tar as usize]
    }

    /// The bytes of `extent` of an archive.
    ///
    /// # Errors
    /// `Shards` when the archive cannot be opened or read, or is shorter.
    pub fn read(&self, tar: u32, extent: Extent) -> Result<Vec<u8>, Error> {
        let file = self.file(tar)?;
        Ok(read_extent(&file, self.path(tar), extent)?)
    }

    fn file(&self, tar: u32) -> Result<Arc<Stored>, Error> {
        // A poisoned slot holds a whole value still: it is replaced in one assignment.
        let mut slot = self.open[tar as usize % OPEN].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, file)) = slot.as_ref().filter(|(held, _)| *held == tar) {
            return Ok(file.clone());
        }
        let path = self.path(tar);
        let file = Arc::new(Stored::open(path)?);
        *slot = Some((tar, file.clone()));
        Ok(file)
    }
}
