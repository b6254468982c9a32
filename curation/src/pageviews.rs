//! How often the articles of a wiki were looked at, from Wikimedia's hourly page views files.
//!
//! A line is `domain_code page_title count_views total_response_size`; a file is one hour of all projects, plain or gzip. The rules are
//! those published for MetaCLIP's list: desktop views of one project, titles with a colon skipped (other namespaces), and an
//! article's hour counts only from so many views on.

use crate::tally::Tally;
use crate::{Error, Rule};
use flate2::bufread::MultiGzDecoder;
use shards::Meter;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Result as IoResult};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The longest line, in bytes: titles have at most 255, escaped three times as many.
const MAX_LINE: usize = 1 << 16;
/// One line in so many of the project may be garbled, as some always are: bad UTF-8, lost fields.
const GARBLED_SHARE: u64 = 100;

/// Which views count.
#[derive(Clone, Debug)]
pub(crate) struct Views<'a> {
    /// The code that lines begin with, such as `en`.
    pub(crate) project: &'a str,
    /// An article's hour with fewer views is left out.
    pub(crate) min_hour: u64,
    /// The form of titles.
    pub(crate) rule: Rule,
}

/// The files that paths name: files themselves, and of folders all `pageviews-*`.
pub(crate) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).map_err(shards::Error::io("list", path))? {
            let file = entry.map_err(shards::Error::io("list", path))?.path();
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("pageviews-") && !name.ends_with(".part") {
                inside.push(file);
            }
        }
        if inside.is_empty() {
            return Err(bad(path, 0, "the folder has no file pageviews-*"));
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

fn bad(path: &Path, line: u64, why: impl Into<String>) -> Error {
    Error::Pageviews { path: path.to_path_buf(), line, why: why.into() }
}

/// Adds the views of all files, a file to a thread; gives the files' hashes in their order. `meter` counts bytes on disk.
pub(crate) fn count(files: &[PathBuf], views: &Views<'_>, tallies: &mut [Tally<'_>], meter: &Meter) -> Result<Vec<String>, Error> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for tally in tallies {
            scope.spawn(|| {
                let (next, tally) = (&next, tally);
                while let Some((index, path)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, files.get(i)?))) {
                    let result = count_file(path, views, tally, meter);
                    let failed = result.is_err();
                    results.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((index, result));
                    if failed {
                        next.store(files.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn count_file(path: &Path, views: &Views<'_>, tally: &mut Tally<'_>, meter: &Meter) -> Result<String, Error> {
    let file = File::open(path).map_err(shards::Error::io("open", path))?;
    let mut raw = BufReader::with_capacity(1 << 18, Hashed { file, hash: blake3::Hasher::new(), meter });
    let head = raw.fill_buf().map_err(shards::Error::io("read", path))?;
    if head.starts_with(&[0x1f, 0x8b]) {
        let mut text = BufReader::with_capacity(1 << 18, MultiGzDecoder::new(&mut raw));
        lines(path, &mut text, views, tally)?;
    } else {
        lines(path, &mut raw, views, tally)?;
    }
    let mut rest = Vec::new();
    raw.read_to_end(&mut rest).map_err(shards::Error::io("read", path))?;
    Ok(raw.get_ref().hash.finalize().to_hex().to_string())
}

/// A file whose bytes are hashed and counted as they are read.
struct Hashed<'a> {
    file: File,
    hash: blake3::Hasher,
    meter: &'a Meter,
}

impl Read for Hashed<'_> {
    fn read(&mut self, into: &mut [u8]) -> IoResult<usize> {
        let length = self.file.read(into)?;
        self.hash.update(&into[..length]);
        self.meter.add(length as u64);
        Ok(length)
    }
}

fn lines(path: &Path, text: &mut impl BufRead, views: &Views<'_>, tally: &mut Tally<'_>) -> Result<(), Error> {
    let (mut number, mut ours, mut garbled) = (0, 0, 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = (MAX_LINE + 1) as u64;
        let read = text.by_ref().take(limit).read_until(b'\n', &mut line);
        let length = read.map_err(|error| bad(path, number + 1, format!("cannot be read: {error}")))?;
        if length == 0 {
            break;
        }
        number += 1;
        if line.len() > MAX_LINE {
            return Err(bad(path, number, format!("is longer than {MAX_LINE} bytes: this is no page views file")));
        }
        let line = line.trim_ascii_end();
        let is_ours = line.strip_prefix(views.project.as_bytes()).is_some_and(|rest| rest.starts_with(b" "));
        if number > 1 && !is_ours {
            continue;
        }
        let fields = fields(line);
        if number == 1 && fields.is_none() {
            return Err(bad(path, 1, "expected `project title views bytes` (an hourly page views file of Wikimedia), found another form"));
        }
        ours += u64::from(is_ours);
        match fields {
            Some((title, count)) if is_ours && count >= views.min_hour => {
                if let Some(title) = article(title, views.rule) {
                    tally.add(&title, count, false)?;
                }
            }
            Some(_) => {}
            None => garbled += 1,
        }
    }
    match (number, ours) {
        (0, _) => Err(bad(path, 0, "it is empty")),
        (_, 0) => Err(bad(path, number, format!("none of its lines is of project {}", views.project))),
        _ if garbled > 10 + ours / GARBLED_SHARE => {
            Err(bad(path, number, format!("{garbled} of {ours} lines of project {} have another form", views.project)))
        }
        _ => Ok(()),
    }
}

/// Title and views of a line.
fn fields(line: &[u8]) -> Option<(&str, u64)> {
    let line = std::str::from_utf8(line).ok()?;
    let (_, rest) = line.split_once(' ')?;
    let (rest, bytes) = rest.rsplit_once(' ')?;
    let (title, views) = rest.rsplit_once(' ')?;
    bytes.parse::<u64>().ok()?;
    Some((title, views.parse().ok()?))
}

/// The title as a query; `None` for what is no article's.
fn article(title: &str, rule: Rule) -> Option<String> {
    let title = if title.contains('%') { unescape(title) } else { title.to_string() };
    if title.contains(':') || title == "-" {
        return None;
    }
    crate::query_text(&title.replace('_', " "), rule).ok().flatten()
}

/// Decodes percent escapes; a title that is no UTF-8 then was no escape.
fn unescape(title: &str) -> String {
    let mut bytes = Vec::with_capacity(title.len());
    let mut rest = title.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |digit: u8| char::from(digit).to_digit(16);
        match *tail {
            [a, b, ..] if *first == b'%' && hex(a).is_some() && hex(b).is_some() => {
                bytes.push((hex(a).unwrap_or(0) * 16 + hex(b).unwrap_or(0)) as u8);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| title.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::Runs;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).expect("compressed");
        encoder.finish().expect("compressed")
    }

    /// Titles and views of files with these contents.
    fn views_of(contents: &[&[u8]]) -> Result<Vec<(String, u64)>, Error> {
        let folder = tempfile::tempdir().expect("a folder");
        for (index, content) in contents.iter().enumerate() {
            std::fs::write(folder.path().join(format!("pageviews-{index}.gz")), content).expect("written");
        }
        let runs = Runs::new(folder.path().join("runs"))?;
        let mut tallies = [Tally::new(&runs, 1 << 20), Tally::new(&runs, 1 << 20)];
        let views = Views { project: "en", min_hour: 50, rule: Rule::Folded };
        let hashes = count(&files(&[folder.path().to_path_buf()])?, &views, &mut tallies, &Meter::default())?;
        assert_eq!(hashes, contents.iter().map(|content| blake3::hash(content).to_hex().to_string()).collect::<Vec<_>>());
        tallies.iter_mut().try_for_each(|tally| tally.close(false))?;
        let mut sums = Vec::new();
        runs.sum(|key, count| sums.push((String::from_utf8_lossy(key).into_owned(), count)))?;
        Ok(sums)
    }

    const HOUR: &str = "de Katze 900 0\nen New_York 60 0\nen new_york 50 0\nen Cat 49 0\nen Caf%C3%A9 70 0\nen File:Cat.jpg 800 0\n\
                        en - 700 0\nen  90 0\nen.m Cat 800 0\nen 100%_Wolf 51 0\n";

    #[test]
    fn busy_hours_of_one_project_add_up() {
        let expected = [("100% wolf", 51), ("café", 120), ("new york", 110)].map(|(title, views)| (title.to_string(), views));
        assert_eq!(views_of(&[gzip(HOUR).as_slice(), b"en Caf\xc3\xa9 50 0\nen bad\xff 90 0\n"]).expect("read"), expected);
    }

    #[test]
    fn other_files_are_named_with_the_line() {
        let why = |content: &[u8]| views_of(&[content]).expect_err("refused").to_string();
        assert!(why(b"title,views\nCat,5\n").contains("line 1 of "));
        assert!(why(b"en.wikipedia Cat 6678 desktop 90 A1B2\n").contains("another form"));
        assert!(why(b"").ends_with("it is empty"));
        assert!(why(b"de Katze 900 0\n").ends_with("none of its lines is of project en"));
        let packed = gzip(HOUR);
        assert!(why(&packed[..packed.len() / 2]).contains("cannot be read"));
        let garbled = format!("en Cat 90 0\n{}", "en Cat many 0\n".repeat(50));
        assert!(why(garbled.as_bytes()).contains("50 of 51 lines"));
        assert!(why(&[b'a'; MAX_LINE + 9]).contains("longer than"));
    }
}
