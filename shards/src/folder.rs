//! Folders that are whole or absent: filled under a temporary name beside their place, then renamed.
//!
//! Knows nothing of what is inside, except that `meta.json` says whose folder it is.

use crate::{Error, Meta, sync_folder};
use std::path::{Path, PathBuf};

/// A folder that appears at its path only when [`AtomicFolder::commit`] succeeds. Dropped before, it leaves nothing;
/// killed before, it leaves `PATH.diptych-part`, which the next [`AtomicFolder::create`] of the same path sweeps.
///
/// One writer per path. A folder that is replaced is first renamed to `PATH.old.diptych-part`: killed between the two
/// renames, the next `create` puts it back, so that nothing finished is ever lost.
pub struct AtomicFolder {
    path: PathBuf,
    part: PathBuf,
    old: PathBuf,
}

impl AtomicFolder {
    /// Makes the temporary folder for `path`. What is at `path` stays until the commit; it may only be an empty folder or
    /// one whose `meta.json` is of this `kind`, so that a mistyped path never costs anybody their files.
    ///
    /// # Errors
    /// `Occupied` when `path` holds something else; `Io` when a folder cannot be made or swept.
    pub fn create(path: &Path, kind: &str) -> Result<Self, Error> {
        let beside = |suffix: &str| {
            let mut name = path.file_name().unwrap_or_default().to_os_string();
            name.push(suffix);
            path.with_file_name(name)
        };
        let occupied = |why: &str| Error::Occupied { path: path.to_path_buf(), why: why.to_string() };
        if path.file_name().is_none() {
            return Err(occupied("it is not a folder's name"));
        }
        let folder = AtomicFolder { path: path.to_path_buf(), part: beside(".diptych-part"), old: beside(".old.diptych-part") };
        if folder.old.is_dir() && !path.exists() {
            std::fs::rename(&folder.old, path).map_err(Error::io("rename", &folder.old))?;
        }
        if path.exists() && !path.is_dir() {
            return Err(occupied("it is not a folder"));
        }
        if path.is_dir() && !is_empty(path)? {
            match Meta::read(path, kind) {
                // A folder of ours in another version of the formats may be replaced, its kind was ours too.
                Ok(Some(_)) | Err(Error::Version { .. }) => {}
                Ok(None) => return Err(occupied("it has files but no meta.json, so diptych did not make it")),
                Err(error) => return Err(occupied(&error.to_string())),
            }
        }
        remove_folder(&folder.part)?;
        remove_folder(&folder.old)?;
        std::fs::create_dir_all(&folder.part).map_err(Error::io("create folder", &folder.part))?;
        Ok(folder)
    }

    /// The temporary folder to write into.
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Renames the folder to its path, replacing what was there. The files inside must be synced already, as
    /// [`crate::AtomicFile`] does.
    ///
    /// # Errors
    /// `Io` when a rename fails; what was at the path is put back then.
    pub fn commit(self) -> Result<(), Error> {
        sync_folder(&self.part)?;
        if self.path.exists() {
            std::fs::rename(&self.path, &self.old).map_err(Error::io("rename", &self.path))?;
        }
        if let Err(error) = std::fs::rename(&self.part, &self.path) {
            if self.old.exists() {
                std::fs::rename(&self.old, &self.path).map_err(Error::io("rename", &self.old))?;
            }
            return Err(Error::io("rename", &self.part)(error));
        }
        self.path.parent().map_or(Ok(()), sync_folder)?;
        remove_folder(&self.old)
    }
}

impl Drop for AtomicFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.part);
    }
}

fn is_empty(path: &Path) -> Result<bool, Error> {
    Ok(std::fs::read_dir(path).map_err(Error::io("list", path))?.next().is_none())
}

fn remove_folder(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(path: &Path, text: &str) -> AtomicFolder {
        let folder = AtomicFolder::create(path, "shards").expect("created");
        std::fs::write(folder.part().join("a"), text).expect("written");
        Meta::new("shards").write(folder.part()).expect("written");
        folder
    }

    #[test]
    fn appears_whole_and_replaces_only_its_own_kind() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("out");
        drop(fill(&path, "dropped"));
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0);
        fill(&path, "first").commit().expect("committed");
        fill(&path, "second").commit().expect("committed");
        assert_eq!(std::fs::read_to_string(path.join("a")).expect("read"), "second");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
        assert!(matches!(AtomicFolder::create(&path, "selection"), Err(Error::Occupied { .. })));
        std::fs::remove_file(path.join("meta.json")).expect("removed");
        assert!(matches!(AtomicFolder::create(&path, "shards"), Err(Error::Occupied { .. })));
        assert_eq!(std::fs::read_to_string(path.join("a")).expect("read"), "second");
    }

    #[test]
    fn leftovers_of_a_killed_program_are_swept_or_put_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("out");
        fill(&path, "whole").commit().expect("committed");
        // Killed between the two renames of a replacement.
        std::fs::rename(&path, dir.path().join("out.old.diptych-part")).expect("renamed");
        std::fs::create_dir(dir.path().join("out.diptych-part")).expect("made");
        std::fs::write(dir.path().join("out.diptych-part/half"), "x").expect("written");
        let folder = AtomicFolder::create(&path, "shards").expect("created");
        assert_eq!(std::fs::read_to_string(path.join("a")).expect("read"), "whole");
        assert!(is_empty(folder.part()).expect("listed"));
    }
}
