//! What was found: printed as it comes, counted for the verdict. Also the checks that every kind of folder needs.

use serde::de::DeserializeOwned;
use shards::{Error, Meta, Meter, REMOVED, REPLACES, Removal, Row, Stored, TableReader, check_sum, hash_file, is_address};
use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Lines printed for one file; a cut archive misses thousands of members.
const MAX_LINES: u64 = 10;

/// Damage and remarks so far.
pub(super) struct Findings<'a> {
    /// Bytes read.
    pub(super) meter: &'a Meter,
    files: u64,
    damaged: u64,
    unread: u64,
    remarks: u64,
    /// The file of the last line, and how many it has had.
    last: (PathBuf, u64),
    /// Manifests by hash.
    manifests: HashMap<String, PathBuf>,
    /// Hashes of manifests that a takedown has replaced.
    replaced: HashSet<String>,
    /// Folders made from manifests: the folder, the role and the hash.
    children: Vec<(PathBuf, String, String)>,
}

/// Whether a small file is at a path or an address. One that cannot be asked for counts: reading it will say why.
pub(super) fn is_there(path: &Path) -> bool {
    let is_missing = |error: &Error| matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::NotFound);
    if is_address(path) { !Stored::open(path).is_err_and(|error| is_missing(&error)) } else { path.exists() }
}

impl<'a> Findings<'a> {
    pub(super) fn new(meter: &'a Meter) -> Self {
        let last = (PathBuf::new(), 0);
        Findings {
            meter,
            files: 0,
            damaged: 0,
            unread: 0,
            remarks: 0,
            last,
            manifests: HashMap::new(),
            replaced: HashSet::new(),
            children: Vec::new(),
        }
    }

    pub(super) fn files(&self) -> u64 {
        self.files
    }

    pub(super) fn damaged(&self) -> u64 {
        self.damaged
    }

    pub(super) fn unread(&self) -> u64 {
        self.unread
    }

    pub(super) fn verdict(&self) -> String {
        let mut damage = if self.damaged == 0 { "no damage".to_string() } else { format!("{} places damaged", self.damaged) };
        if self.unread > 0 {
            damage += &format!(", {} not read", self.unread);
        }
        if self.remarks == 0 { damage } else { format!("{damage}, {} remarks", self.remarks) }
    }

    /// Something is not as it was written.
    pub(super) fn damage(&mut self, path: &Path, what: impl std::fmt::Display, advice: &str) {
        self.damaged += 1;
        if self.last.0 != path {
            self.last = (path.to_path_buf(), 0);
        }
        self.last.1 += 1;
        match self.last.1 {
            n if n <= MAX_LINES => println!("damaged  {}: {what}; {advice}", path.display()),
            n if n == MAX_LINES + 1 => println!("damaged  {}: and more of the same", path.display()),
            _ => {}
        }
        self.meter.say(format!("{} damaged", self.damaged));
    }

    /// A file could not be read: damage, unless a server is in trouble, which says nothing of the file.
    pub(super) fn failed(&mut self, path: &Path, error: &Error, advice: &str) {
        let is_trouble = |error: &std::io::Error| !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof);
        match error {
            Error::Io { source, .. } if is_address(path) && is_trouble(source) => {
                self.unread += 1;
                println!("not read {}: {}; check again when its server answers", path.display(), words(error));
            }
            _ => self.damage(path, words(error), advice),
        }
    }

    /// Something to know that is no damage.
    pub(super) fn remark(&mut self, path: &Path, what: impl std::fmt::Display) {
        self.remarks += 1;
        println!("remark   {}: {what}", path.display());
    }

    pub(super) fn opened(&mut self) {
        self.files += 1;
    }

    /// Reads a table whole: its sum, then its rows. `None` when it cannot be read, which is damage; else the number of rows.
    pub(super) fn table<R: Row>(&mut self, path: &Path, advice: &str, mut each: impl FnMut(&mut Self, u64, R)) -> Option<u64> {
        self.opened();
        if !is_address(path) && !path.exists() {
            self.damage(path, "it is missing", advice);
            return None;
        }
        match check_sum(path, |bytes| self.meter.add(bytes)) {
            Ok(true) => {}
            Ok(false) => {
                self.remark(path, "carries no sum of its bytes (an older version or another program wrote it), so only its form is checked")
            }
            Err(error) => {
                self.failed(path, &error, advice);
                return None;
            }
        }
        let mut rows = 0;
        match TableReader::<R>::open_all(path) {
            Ok(reader) => {
                for batch in reader {
                    match batch {
                        Ok(batch) => {
                            for row in batch {
                                each(self, rows, row);
                                rows += 1;
                            }
                        }
                        Err(error) => {
                            self.failed(path, &error, advice);
                            return None;
                        }
                    }
                }
                Some(rows)
            }
            Err(error) => {
                self.failed(path, &error, advice);
                None
            }
        }
    }

    /// The list of what was taken down, where there is one: readers refuse to go on when it is damaged.
    pub(super) fn removals(&mut self, folder: &Path) {
        let path = folder.join(REMOVED);
        if is_there(&path) {
            self.table::<Removal>(&path, "put back a copy, or remove it and give every `diptych remove` again", |_, _, _| ());
        }
    }

    /// The manifests that were read, by hash.
    pub(super) fn parents(&self) -> HashMap<String, PathBuf> {
        self.manifests.clone()
    }

    /// Reads a JSON file; `None` when it cannot be read, which is damage.
    pub(super) fn json<T: DeserializeOwned>(&mut self, path: &Path, advice: &str) -> Option<T> {
        self.opened();
        let text = match shards::read_file(path) {
            Ok(text) => text,
            Err(error) => {
                self.failed(path, &error, advice);
                return None;
            }
        };
        let read = text.ok_or_else(|| "it is missing".to_string());
        match read.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string())) {
            Ok(value) => Some(value),
            Err(why) => {
                self.damage(path, why, advice);
                None
            }
        }
    }

    /// Reads `folder/meta.json`; `None` when it is missing or no description of this kind, which is damage.
    pub(super) fn meta(&mut self, folder: &Path, kind: &str, advice: &str) -> Option<Meta> {
        self.opened();
        let path = folder.join("meta.json");
        match Meta::read(folder, kind) {
            Ok(Some(meta)) => Some(meta),
            Ok(None) => {
                self.damage(&path, "it is missing", advice);
                None
            }
            Err(error) => {
                self.failed(&path, &error, advice);
                None
            }
        }
    }

    /// Two numbers that say the same.
    pub(super) fn equal(&mut self, path: &Path, what: &str, found: u64, expected: u64, by: &str, advice: &str) {
        if found != expected {
            self.damage(path, format!("it has {found} {what}, {by} says {expected}"), advice);
        }
    }

    /// The hash that a description gives of a file it was made from.
    pub(super) fn parent(&mut self, meta: &Meta, role: &str, file: &Path, child: &Path, advice: &str) {
        let Some(expected) = meta.parents.get(role) else { return };
        match hash_file(file) {
            Ok(found) if found == *expected => {}
            Ok(found) => {
                self.damage(file, format!("its hash is {found}, {} was made from one of hash {expected}", child.display()), advice);
            }
            Err(error) => self.damage(file, words(&error), advice),
        }
    }

    /// Remembers a manifest, so that what was made from it can be joined to it.
    pub(super) fn manifest(&mut self, path: &Path) {
        if let Ok(hash) = hash_file(path) {
            self.manifests.insert(hash, path.to_path_buf());
        }
        // A takedown rewrites a manifest; what was made from it before is still its child.
        let replaced = TableReader::<shards::Sample>::open_all(path).ok();
        let replaced = replaced.as_ref().and_then(|reader| reader.note(REPLACES)).unwrap_or_default().to_string();
        self.replaced.extend(replaced.split(',').filter(|hash| !hash.is_empty()).map(str::to_string));
    }

    /// Remembers that `folder` was made from manifests.
    pub(super) fn child(&mut self, folder: &Path, meta: &Meta) {
        let manifests = meta.parents.iter().filter(|(role, _)| role.starts_with("manifest"));
        self.children.extend(manifests.map(|(role, hash)| (folder.to_path_buf(), role.clone(), hash.clone())));
    }

    /// Says which folders were made from manifests that are not there any more, when everything was read.
    pub(super) fn lineage(&mut self) {
        if self.manifests.is_empty() {
            return;
        }
        for (folder, role, hash) in std::mem::take(&mut self.children) {
            if !self.manifests.contains_key(&hash) && !self.replaced.contains(&hash) {
                let hash = &hash[..hash.len().min(12)];
                self.remark(&folder, format!("was made from a {role} of hash {hash}..., which is none of those checked: it was made again since, or lies elsewhere"));
            }
        }
    }
}

/// An error with its cause, as one line.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

/// The entries of a folder in order of their names; none when it cannot be listed.
pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}
