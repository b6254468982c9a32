//! `meta.json`: what a folder is, its properties, and the hashes of what it was made from.

use crate::{Error, hash_file, store, write_atomic};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The version of diptych's file formats that this program writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The content of a `meta.json`. It holds no times and no paths of this machine, so equal work gives equal bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// What the folder is: `corpus`, `selection`, `shards` or `run`.
    pub kind: String,
    /// The version of the formats inside.
    pub version: u32,
    /// Properties by name, such as `seed` or `image_size`.
    pub properties: BTreeMap<String, Value>,
    /// Hashes (BLAKE3, hex) of what this was made from, by role: `queries`, `manifest`. Lineage is joined by them.
    pub parents: BTreeMap<String, String>,
}

impl Meta {
    /// An empty description of a folder of this kind.
    pub fn new(kind: &str) -> Self {
        Meta { kind: kind.to_string(), version: FORMAT_VERSION, properties: BTreeMap::new(), parents: BTreeMap::new() }
    }

    /// Adds a property.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(name.to_string(), value.into());
        self
    }

    /// Adds a parent by the hash of its file.
    ///
    /// # Errors
    /// `Io` when the file cannot be read.
    pub fn with_parent(mut self, role: &str, file: &Path) -> Result<Self, Error> {
        self.parents.insert(role.to_string(), hash_file(file)?);
        Ok(self)
    }

    /// Reads `folder/meta.json`, at a path or an address; `None` when there is none.
    ///
    /// # Errors
    /// `Json` when it is not a description, `Version` when another version wrote it, `Json` naming both kinds when the
    /// folder is something else.
    pub fn read(folder: &Path, kind: &str) -> Result<Option<Self>, Error> {
        let path = folder.join("meta.json");
        let Some(text) = store::read(&path)? else { return Ok(None) };
        let bad = |why: String| Error::Json { path: path.clone(), why };
        let meta: Meta = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
        if meta.version != FORMAT_VERSION {
            return Err(Error::Version { path, found: meta.version, expected: FORMAT_VERSION });
        }
        if meta.kind != kind {
            return Err(bad(format!("the folder is of kind {}, expected {kind}", meta.kind)));
        }
        Ok(Some(meta))
    }

    /// Writes `folder/meta.json`.
    ///
    /// # Errors
    /// As [`write_atomic`].
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join("meta.json");
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| Error::Json { path: path.clone(), why: error.to_string() })?;
        text.push(b'\n');
        write_atomic(&path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_other_kinds_and_versions() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(Meta::read(dir.path(), "corpus").expect("read").is_none());
        let mut meta = Meta::new("corpus").with("seed", 7);
        meta.write(dir.path()).expect("written");
        assert_eq!(Meta::read(dir.path(), "corpus").expect("read"), Some(meta.clone()));
        assert!(Meta::read(dir.path(), "run").expect_err("refused").to_string().contains("is of kind corpus, expected run"));
        meta.version = 99;
        meta.write(dir.path()).expect("written");
        assert!(matches!(Meta::read(dir.path(), "corpus"), Err(Error::Version { found: 99, .. })));
    }
}
