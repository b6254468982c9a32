//! Runs that trained on what was taken down, and reports that may show it.

use crate::failure::Failure;
use shards::{Meta, Removed};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// The runs below `folder` whose manifests had held something of `requests` (of everything ever asked for, when there are none).
///
/// # Errors
/// When a run's description cannot be read: whether it trained on it is not known then.
pub(super) fn trained(folder: &Path, removed: &Removed, requests: &BTreeSet<String>) -> Result<Vec<PathBuf>, Failure> {
    let meant = |because: &String| requests.is_empty() || requests.contains(because);
    let held: HashSet<&str> =
        removed.rows().iter().filter(|row| row.by == "held" && meant(&row.because)).map(|row| row.value.as_str()).collect();
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    // The folder may be a run itself.
    for path in entries.flatten().map(|entry| entry.path()).chain([folder.to_path_buf()]).filter(|path| path.join("checkpoints").is_dir()) {
        let Some(meta) = Meta::read(&path, "run")? else { continue };
        let trained = meta.parents.iter().any(|(role, hash)| role.starts_with("manifest") && held.contains(hash.as_str()));
        found.extend(trained.then_some(path));
    }
    found.sort();
    Ok(found)
}

/// Removes the pages that show pictures and captions of the corpus and of these runs; `diptych report` makes them anew.
///
/// # Errors
/// When one cannot be removed.
pub(super) fn forget_reports(corpus: Option<&Path>, runs: &[PathBuf]) -> Result<u64, Failure> {
    let mut removed = 0;
    for folder in corpus.into_iter().chain(runs.iter().map(PathBuf::as_path)) {
        let path = folder.join("report.html");
        match std::fs::remove_file(&path) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(shards::Error::io("remove", &path)(error).into()),
        }
    }
    Ok(removed)
}
