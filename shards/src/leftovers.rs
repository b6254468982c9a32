//! Which files of a corpus killed programs left.

use crate::Error;
use std::path::{Path, PathBuf};

/// The files `NUMBER.*` of `folders` whose segment is not committed. `newest` is the largest number that a job ever had.
///
/// # Errors
/// `Unusable` when a file belongs to a job that the catalogue never had: it is lost or older than the files, and what it does not know
/// may be all there is. `Io` when a folder cannot be listed.
pub fn leftovers(folders: &[PathBuf], newest: u64, is_committed: impl Fn(u64) -> bool) -> Result<Vec<PathBuf>, Error> {
    let mut left = Vec::new();
    for path in folders.iter().map(|folder| files(folder)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok()) else { continue };
        if number > newest {
            let why =
                "the catalogue knows no such job: it is missing or older than the files. Put its newest copy back; nothing was removed"
                    .to_string();
            return Err(Error::Unusable { path, why });
        }
        if !is_committed(number) {
            left.push(path);
        }
    }
    Ok(left)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", folder)(error)),
    };
    entries.map(|entry| Ok(entry.map_err(Error::io("list", folder))?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_job_made_is_never_a_leftover() {
        let dir = tempfile::tempdir().expect("a folder");
        let folders = ["pool", "candidates"].map(|name| dir.path().join(name)).to_vec();
        assert!(leftovers(&folders, 0, |_| false).expect("listed").is_empty());
        std::fs::create_dir(&folders[0]).expect("made");
        for name in ["00001.tar", "00002.tar", "notes.txt"] {
            std::fs::write(folders[0].join(name), "x").expect("written");
        }
        assert_eq!(leftovers(&folders, 2, |number| number == 1).expect("listed"), [folders[0].join("00002.tar")]);
        let refused = leftovers(&folders, 1, |number| number == 1).expect_err("refused").to_string();
        assert!(refused.contains("00002.tar") && refused.contains("older than the files"), "{refused}");
    }
}
