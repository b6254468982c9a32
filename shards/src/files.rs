//! Files that are whole or absent: written under a temporary name, synced, renamed into place.

use crate::Error;
use crate::store::Stored;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Temporary files end so; [`remove_temporaries`] sweeps what a killed program left.
const TEMPORARY: &str = ".diptych-part";

/// A file that appears at its path only when [`AtomicFile::commit`] succeeds. Dropped before, it leaves nothing.
///
/// One writer per path: the temporary name is the path's own with a suffix.
pub struct AtomicFile {
    file: Option<BufWriter<File>>,
    temporary: PathBuf,
    path: PathBuf,
}

impl AtomicFile {
    /// Opens a temporary file beside `path`, creating the folder if it is missing.
    ///
    /// # Errors
    /// `Io` when the folder or file cannot be made.
    pub fn create(path: &Path) -> Result<Self, Error> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io("create folder", folder))?;
        }
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(TEMPORARY);
        let temporary = path.with_file_name(name);
        let file =
            File::options().read(true).write(true).create(true).truncate(true).open(&temporary).map_err(Error::io("create", &temporary))?;
        Ok(AtomicFile { file: Some(BufWriter::with_capacity(1 << 18, file)), temporary, path: path.to_path_buf() })
    }

    /// The path at which the file will appear.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&mut self) -> std::io::Result<&mut BufWriter<File>> {
        self.file.as_mut().ok_or_else(|| std::io::Error::other("file already committed"))
    }

    /// Syncs the bytes to disk and renames the file to its path, replacing what was there.
    ///
    /// # Errors
    /// `Io` on a full disk or a failed rename; the path is untouched then.
    pub fn commit(mut self) -> Result<(), Error> {
        let mut file = self.file.take().ok_or_else(|| Error::Io {
            what: "commit",
            path: self.path.clone(),
            source: std::io::Error::other("committed twice"),
        })?;
        let synced = file.flush().and_then(|()| file.get_ref().sync_all());
        drop(file);
        let renamed = synced.and_then(|()| std::fs::rename(&self.temporary, &self.path));
        if renamed.is_err() {
            let _ = std::fs::remove_file(&self.temporary);
        }
        renamed.map_err(Error::io("write", &self.path))?;
        self.path.parent().map_or(Ok(()), sync_folder)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file()?.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file()?.seek(to)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Writes `bytes` to `path` in one atomic step.
///
/// # Errors
/// As [`AtomicFile::commit`].
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.commit()
}

/// Makes the names in `folder` durable, as a rename alone does not.
///
/// # Errors
/// `Io` when the folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> Result<(), Error> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder).and_then(|dir| dir.sync_all()).map_err(Error::io("sync folder", folder))
}

/// Removes the temporary files and folders that a killed program left in `folder` (not below it); a missing folder is fine.
///
/// # Errors
/// `Io` when the folder cannot be listed or a leftover cannot be removed.
pub fn remove_temporaries(folder: &Path) -> Result<(), Error> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("list", folder)(error)),
    };
    for entry in entries {
        let path = entry.map_err(Error::io("list", folder))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(TEMPORARY)) {
            // A folder that was being filled when the program was killed is a leftover as well.
            let is_folder = std::fs::symlink_metadata(&path).is_ok_and(|file| file.is_dir());
            let removed = if is_folder { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// The BLAKE3 hash of the file at a path or address, in hex.
///
/// # Errors
/// `Io` when the file cannot be read.
pub fn hash_file(path: &Path) -> Result<String, Error> {
    let mut file = Stored::open_ahead(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(Error::io("read", path))?;
        if n == 0 {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        hasher.update(&buffer[..n]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appears_only_when_committed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("sub/a.txt");
        let mut file = AtomicFile::create(&path).expect("created");
        file.write_all(b"half").expect("written");
        drop(file);
        assert_eq!(std::fs::read_dir(dir.path().join("sub")).expect("listed").count(), 0);
        write_atomic(&path, b"whole").expect("written");
        assert_eq!(std::fs::read(&path).expect("read"), b"whole");
    }

    #[test]
    fn sweeps_only_its_own_leftovers() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join(format!("a{TEMPORARY}")), b"x").expect("written");
        std::fs::write(dir.path().join("a"), b"x").expect("written");
        std::fs::create_dir(dir.path().join(format!("b{TEMPORARY}"))).expect("made");
        std::fs::write(dir.path().join(format!("b{TEMPORARY}/c")), b"x").expect("written");
        remove_temporaries(dir.path()).expect("swept");
        remove_temporaries(&dir.path().join("missing")).expect("fine");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
}
