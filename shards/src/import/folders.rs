//! `folder:DIR`: a folder for each class, packed into tars of our own.

use super::{AT_ONCE, Decoded, ImportOptions, ImportSummary, check, sample, split_of, too_long};
use crate::pack::{Packer, ShardLimits};
use crate::{Error, Meter, clean_caption};
use rayon::prelude::*;
use serde_json::{Map, json};
use std::path::{Path, PathBuf};

/// Suffixes of files that are taken for pictures; others, such as label lists, are passed over.
const SUFFIXES: [&str; 6] = ["jpg", "jpeg", "png", "webp", "gif", "jpe"];
/// Folders below a class that are searched, as in `CLASS/images/*.JPEG`; links in a circle end there.
const MAX_DEPTH: usize = 4;

/// A picture file of a class. Paths of all files are in memory: about 150 bytes each.
struct Entry {
    path: PathBuf,
    split: String,
    label: u32,
}

pub(super) fn import(
    place: &Path,
    out: &Path,
    options: &ImportOptions,
    limits: ShardLimits,
    summary: &mut ImportSummary,
    meter: &Meter,
) -> Result<Vec<String>, Error> {
    let (classes, entries) = list(place, options.split.as_deref())?;
    meter.set_total(entries.len() as u64);
    let mut packer = Packer::create(out, limits)?;
    for chunk in entries.chunks(AT_ONCE) {
        let pictures: Vec<_> = chunk.par_iter().map(|entry| read(&entry.path, options)).collect();
        for (entry, picture) in chunk.iter().zip(pictures) {
            match picture {
                Ok(picture) => {
                    let captions = vec![classes[entry.label as usize].clone()];
                    let name = entry.path.strip_prefix(place).unwrap_or(&entry.path).to_string_lossy();
                    let extra = Map::from_iter([("file".to_string(), json!(name))]);
                    let sample = sample(&picture, captions, Some(entry.label), &entry.split);
                    summary.count(&sample);
                    packer.push(sample, &picture.bytes, picture.format, extra)?;
                }
                Err((reason, why)) => summary.leave_out(reason, entry.path.display(), why),
            }
        }
        meter.add(chunk.len() as u64);
    }
    packer.finish()?;
    Ok(classes)
}

fn read(path: &Path, options: &ImportOptions) -> Result<Decoded, (&'static str, String)> {
    let unreadable = |error: std::io::Error| ("unreadable", error.to_string());
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(("unreadable", "it is not a file".to_string()));
    }
    match too_long(metadata.len()) {
        Some(refusal) => Err(refusal),
        None => check(std::fs::read(path).map_err(unreadable)?, &options.limits),
    }
}

/// The class names by number, and the picture files by split, class and path.
fn list(place: &Path, split: Option<&str>) -> Result<(Vec<String>, Vec<Entry>), Error> {
    let unusable = |why: String| Error::Unusable { path: place.to_path_buf(), why };
    let folders = subfolders(place)?;
    let splits: Vec<Option<&str>> = folders.iter().map(|folder| split_of(&name(folder))).collect();
    // (split, class folder); split folders only if there is nothing else, because a class may be called "train".
    let class_folders: Vec<(String, PathBuf)> = if !folders.is_empty() && splits.iter().all(Option::is_some) {
        let mut all = Vec::new();
        for (folder, found) in folders.iter().zip(splits) {
            let split = split.or(found).unwrap_or_default();
            all.extend(subfolders(folder)?.into_iter().map(|class| (split.to_string(), class)));
        }
        all
    } else {
        folders.into_iter().map(|class| (split.unwrap_or("test").to_string(), class)).collect()
    };
    let mut names: Vec<String> = class_folders.iter().map(|(_, folder)| name(folder)).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Err(unusable("it has no class folders".to_string()));
    }
    let classes: Vec<String> = names.iter().map(|name| clean_caption(&name.replace('_', " "))).collect();
    for (i, class) in classes.iter().enumerate() {
        if let Some(other) = classes[..i].iter().position(|other| other == class) {
            return Err(unusable(format!("the folders {:?} and {:?} name the same class", names[other], names[i])));
        }
    }
    let mut entries = Vec::new();
    for (split, folder) in &class_folders {
        let label = names.binary_search(&name(folder)).map_err(|_| unusable("it changed while it was read".to_string()))? as u32;
        let mut files = Vec::new();
        pictures(folder, MAX_DEPTH, &mut files)?;
        entries.extend(files.into_iter().map(|path| Entry { path, split: split.clone(), label }));
    }
    entries.sort_by(|a, b| (&a.split, a.label, &a.path).cmp(&(&b.split, b.label, &b.path)));
    Ok((classes, entries))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is in `folder`, by name, without hidden files.
fn listing(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        if !name(&path).starts_with('.') {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(listing(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

/// Collects the picture files in `folder` and up to `depth` folders below.
fn pictures(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    for path in listing(folder)? {
        if path.is_dir() {
            if depth > 0 {
                pictures(&path, depth - 1, files)?;
            }
        } else if path.extension().is_some_and(|suffix| SUFFIXES.iter().any(|known| suffix.eq_ignore_ascii_case(known))) {
            files.push(path);
        }
    }
    Ok(())
}
