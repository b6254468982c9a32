//! The pairs that this corpus has seen: a set of 8-byte fingerprints in memory, rebuilt from its files at the start.
//!
//! A pair takes 9 to 18 bytes (8 and a control byte, in tables that are 44 to 88 % full): 400 million pairs take 3.6 to 7.2 GB.
//! Two different pairs are taken for one with probability n^2 / 2^65: 0.4 % for a single such loss among 400 million.

use crate::Error;
use crate::layout::{Layout, job_of};
use polars::io::SerReader;
use polars::io::parquet::read::ParquetReader;
use rayon::prelude::*;
use rustc_hash::FxHashSet;
use shards::PairId;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Parts of the set. Each grows alone, so that growing never holds two copies of the whole, and has its own lock.
const PARTS: usize = 64;

/// A set of pairs, shared by all jobs.
pub(crate) struct Seen {
    parts: Vec<Mutex<FxHashSet<u64>>>,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Seen { parts: (0..PARTS).map(|_| Mutex::default()).collect() }
    }

    /// Adds a pair; `false` when it was there.
    pub(crate) fn insert(&self, pair: &PairId) -> bool {
        let fingerprint = pair.fingerprint();
        let part = &self.parts[(fingerprint >> 58) as usize];
        part.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(fingerprint)
    }

    /// Adds the pairs of all candidate and plan files. Those of unfinished jobs must have been swept before.
    ///
    /// # Errors
    /// `Files` when a file cannot be read.
    pub(crate) fn load(layout: &Layout) -> Result<Self, Error> {
        let seen = Seen::new();
        let mut files = tables(&layout.folder("candidates"))?;
        files.extend(tables(&layout.folder("plans"))?);
        files.par_iter().try_for_each(|path| seen.load_file(path))?;
        Ok(seen)
    }

    fn load_file(&self, path: &Path) -> Result<(), Error> {
        let file = File::open(path).map_err(shards::Error::io("open", path))?;
        // Only this column is read; whole rows are many times larger.
        let reader = ParquetReader::new(file).with_columns(Some(vec!["pair_id".to_string()]));
        let frame = reader.finish().map_err(shards::Error::table("read", path))?;
        for pair in shards::column::<PairId>(&frame, "pair_id", path)? {
            self.insert(&pair);
        }
        Ok(())
    }
}

/// The tables of a folder that are named by a job; a missing folder has none.
pub(crate) fn tables(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(shards::Error::io("list", folder)(error).into()),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(shards::Error::io("list", folder))?.path();
        if path.extension().is_some_and(|suffix| suffix == "parquet") && job_of(&path).is_some() {
            paths.push(path);
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_new_once() {
        let seen = Seen::new();
        for i in 0..1000 {
            assert!(seen.insert(&PairId::new("http://a", &i.to_string())));
        }
        assert!((0..1000).all(|i| !seen.insert(&PairId::new("http://a", &i.to_string()))));
    }

    #[test]
    fn an_empty_corpus_has_seen_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let seen = Seen::load(&Layout::new(dir.path())).expect("loaded");
        assert!(seen.insert(&PairId::new("http://a", "b")));
    }
}
