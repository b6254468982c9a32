//! The files of a URL list: folders and patterns, and packed files.
//!
//! A packed list cannot be read from the middle, so it is unpacked once, into the corpus, until its rows are planned.

use crate::columns::Asked;
use crate::urls::Format;
use crate::{Error, urls};
use flate2::read::MultiGzDecoder;
use shards::AtomicFile;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Suffixes of packed files.
const PACKED: [&str; 3] = ["gz", "zst", "bz2"];
/// Bytes unpacked to see whether a list can be read.
const BEGINNING: u64 = 4 << 20;

fn packing(path: &Path) -> Option<&'static str> {
    let suffix = path.extension().and_then(OsStr::to_str)?;
    PACKED.into_iter().find(|packed| suffix.eq_ignore_ascii_case(packed))
}

/// The name without the suffix of a packer.
pub(crate) fn bare_name(path: &Path) -> PathBuf {
    if packing(path).is_some() { path.with_extension("") } else { path.to_path_buf() }
}

/// The lists that a source names.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) files: Vec<PathBuf>,
    /// Whether it is one list, named itself, and no folder or pattern.
    pub(crate) is_one: bool,
}

/// The lists that `path` names: a file, the lists in a folder and below, or what a pattern with `*`, `?` or `[]` matches; by name. Hidden
/// files are none.
///
/// # Errors
/// `List` when there are none.
pub(crate) fn expand(path: &Path) -> Result<Named, Error> {
    let list = |why: String| Error::List { path: path.to_path_buf(), why };
    let text = path.to_str().unwrap_or_default();
    let pattern = if path.is_dir() {
        format!("{}/**/*", glob::Pattern::escape(text.trim_end_matches('/')))
    } else if !path.exists() && text.contains(['*', '?', '[']) {
        unknown_key(text).map_or(Ok(()), |key| Err(list(format!("{key:?} is not known behind ?, only url and caption are"))))?;
        text.to_string()
    } else {
        return Ok(Named { files: vec![path.canonicalize().map_err(|error| list(error.to_string()))?], is_one: true });
    };
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let found = glob::glob_with(&pattern, options).map_err(|error| list(error.to_string()))?;
    let files: Vec<PathBuf> = found
        .filter_map(Result::ok)
        .filter(|file| file.is_file() && Format::of(&bare_name(file)).is_some())
        .filter_map(|file| file.canonicalize().ok())
        .collect();
    if files.is_empty() { Err(list("it names no list".to_string())) } else { Ok(Named { files, is_one: false }) }
}

/// The key in `FILE?key=...` that is not known, where there is such a file.
fn unknown_key(text: &str) -> Option<&str> {
    let (file, query) = text.rsplit_once('?')?;
    let key = query.split('&').find_map(|part| Some(part.split_once('=')?.0).filter(|key| !["url", "caption"].contains(key)))?;
    Path::new(file).exists().then_some(key)
}

/// Refuses lists that cannot be read; of a folder or pattern one that can is enough.
///
/// # Errors
/// `List` when there is none that can be read.
pub(crate) fn check(path: &Path, asked: Asked<'_>) -> Result<(), Error> {
    let mut refused = None;
    for file in expand(path)?.files {
        match urls::check(&file, asked) {
            Err(error) => refused = refused.or(Some(error)),
            Ok(()) => return Ok(()),
        }
    }
    refused.map_or(Ok(()), Err)
}

/// Opens a packed file.
fn unpacker(path: &Path, packing: &str) -> std::io::Result<Box<dyn Read>> {
    let input = BufReader::with_capacity(1 << 18, File::open(path)?);
    Ok(match packing {
        "gz" => Box::new(MultiGzDecoder::new(input)),
        "bz2" => Box::new(bzip2::read::MultiBzDecoder::new(input)),
        _ => Box::new(zstd::Decoder::with_buffer(input)?),
    })
}

/// What a packed list begins with, as a file that goes when it is dropped; `None` when the list is not packed.
///
/// # Errors
/// `List` when it cannot be unpacked.
pub(crate) fn unpack_beginning(path: &Path) -> Result<Option<tempfile::NamedTempFile>, Error> {
    let Some(packing) = packing(path) else { return Ok(None) };
    let copy = || {
        let mut file = tempfile::NamedTempFile::new()?;
        std::io::copy(&mut unpacker(path, packing)?.take(BEGINNING), &mut file)?;
        Ok(file)
    };
    copy().map(Some).map_err(|error: std::io::Error| Error::List { path: path.to_path_buf(), why: error.to_string() })
}

/// The file to read: the list itself, or what it gives when it is unpacked into `folder`, which is done only if it is not there.
///
/// # Errors
/// `List` when it cannot be unpacked, `Files` when the folder cannot be written.
pub(crate) fn unpack(path: &Path, folder: &Path) -> Result<PathBuf, Error> {
    let Some(packing) = packing(path) else { return Ok(path.to_path_buf()) };
    let broken = |error: std::io::Error| Error::List { path: path.to_path_buf(), why: error.to_string() };
    let meta = std::fs::metadata(path).map_err(broken)?;
    let changed = meta.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |time| time.as_nanos());
    // Another content under the same name is another list.
    let mark = blake3::hash(format!("{}\0{}\0{changed}", path.display(), meta.len()).as_bytes()).to_hex();
    let bare = bare_name(path);
    let suffix = bare.extension().and_then(OsStr::to_str).unwrap_or("txt");
    let target = folder.join(format!("{}.{suffix}", &mark[..16]));
    if target.exists() {
        return Ok(target);
    }
    std::fs::create_dir_all(folder).map_err(shards::Error::io("create folder", folder))?;
    let mut input = unpacker(path, packing).map_err(broken)?;
    let mut file = AtomicFile::create(&target)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match input.read(&mut buffer).map_err(broken)? {
            0 => break,
            count => file.write_all(&buffer[..count]).map_err(shards::Error::io("write", &target))?,
        }
    }
    file.commit()?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_patterns_name_lists() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path().canonicalize().expect("a path");
        for folder in ["sub", ".sub"] {
            std::fs::create_dir(dir.join(folder)).expect("made");
        }
        for name in ["b.csv", "a.parquet", "sub/c.jsonl.gz", "notes.md", ".b.csv", "sub/.c.csv", ".sub/d.csv"] {
            std::fs::write(dir.join(name), b"").expect("written");
        }
        let names = |path: PathBuf| -> Vec<String> {
            let found = expand(&path).expect("expanded");
            found.files.iter().map(|file| file.strip_prefix(&dir).expect("inside").display().to_string()).collect()
        };
        assert_eq!(names(dir.clone()), ["a.parquet", "b.csv", "sub/c.jsonl.gz"]);
        assert_eq!(names(dir.join("*.csv")), ["b.csv"]);
        assert_eq!(names(dir.join("notes.md")), ["notes.md"]);
        assert!(expand(&dir.join("b.csv")).expect("expanded").is_one && !expand(&dir).expect("expanded").is_one);
        let refused = expand(&dir.join("b.csv?url=u&foo=bar")).expect_err("refused").to_string();
        assert!(refused.contains("\"foo\" is not known"), "{refused}");
        assert!(expand(&dir.join("none")).is_err() && expand(&dir.join("*.xyz")).is_err());
    }
}
