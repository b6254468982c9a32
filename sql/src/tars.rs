//! The table of tars: how many samples each holds, by the manifest beside it, and how large it is.

use crate::Error;
use polars::prelude::*;
use shards::{TableReader, table_row};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

table_row! {
    /// What is needed of a manifest's row.
    struct Place in "manifest" {
        /// The tar, relative to the manifest's folder.
        shard: String,
        /// `train`, `val` or `test`.
        split: String,
        /// Bytes of the picture.
        image_length: u64,
    }
}

/// Samples of one tar: all, by split, and the bytes of their pictures.
#[derive(Default)]
struct Tally {
    samples: u64,
    splits: [u64; 3],
    image_bytes: u64,
}

/// One row per tar that the manifests of these folders name.
pub(crate) fn tars(folders: &[PathBuf]) -> Result<DataFrame, Error> {
    let failed = |source| Error::Table { table: "shards", path: folders.first().cloned().unwrap_or_default(), source };
    let mut rows: Vec<(String, String, Tally, u64)> = Vec::new();
    for folder in folders.iter().filter(|folder| folder.join("manifest.parquet").exists()) {
        for (shard, tally) in tally(&folder.join("manifest.parquet"))? {
            let bytes = std::fs::metadata(folder.join(&shard)).map_or(0, |file| file.len());
            rows.push((folder.display().to_string(), shard, tally, bytes));
        }
    }
    let count = |name: &str, of: fn(&Tally) -> u64| {
        Column::new(name.into(), rows.iter().map(|row| i64::try_from(of(&row.2)).unwrap_or(i64::MAX)).collect::<Vec<i64>>())
    };
    let columns = vec![
        Column::new("folder".into(), rows.iter().map(|row| row.0.as_str()).collect::<Vec<_>>()),
        Column::new("shard".into(), rows.iter().map(|row| row.1.as_str()).collect::<Vec<_>>()),
        count("samples", |tally| tally.samples),
        count("train", |tally| tally.splits[0]),
        count("val", |tally| tally.splits[1]),
        count("test", |tally| tally.splits[2]),
        count("image_bytes", |tally| tally.image_bytes),
        Column::new("bytes".into(), rows.iter().map(|row| i64::try_from(row.3).unwrap_or(i64::MAX)).collect::<Vec<i64>>()),
    ];
    DataFrame::new(rows.len(), columns).map_err(failed)
}

/// The tars of a manifest in order of their names; memory by tar, not by sample.
fn tally(manifest: &Path) -> Result<BTreeMap<String, Tally>, Error> {
    let mut tars: BTreeMap<String, Tally> = BTreeMap::new();
    let read = |source| Error::Shards { path: manifest.to_path_buf(), source: Box::new(source) };
    for batch in TableReader::<Place>::open(manifest).map_err(read)? {
        for row in batch.map_err(read)? {
            let tally = tars.entry(row.shard).or_default();
            tally.samples += 1;
            tally.image_bytes += row.image_length;
            if let Some(at) = ["train", "val", "test"].iter().position(|split| *split == row.split) {
                tally.splits[at] += 1;
            }
        }
    }
    Ok(tars)
}
