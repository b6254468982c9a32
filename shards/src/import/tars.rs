//! `tar:FILE_OR_DIR`: WebDataset tars as others wrote them. Nothing is copied, the manifest refers to them.

use super::{AT_ONCE, Decoded, ImportOptions, ImportSummary, check, sample, split_of, too_long};
use crate::pack::ShardLimits;
use crate::{Error, Extent, Member, Meter, Sample, TableWriter, TarReader, clean_caption, read_extent};
use rayon::prelude::*;
use serde_json::Value;
use std::collections::HashSet;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

/// Member suffixes of pictures, in the order of preference within a sample.
const PICTURES: [&str; 6] = ["jpg", "jpeg", "png", "webp", "gif", "jpe"];
/// Largest text, class or JSON member read, in bytes.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Captions of one sample at most.
const MAX_CAPTIONS: usize = 1000;
/// Folders below the given one that are searched for tars.
const MAX_DEPTH: usize = 3;

pub(super) fn import(
    place: &Path,
    out: &Path,
    options: &ImportOptions,
    _: ShardLimits,
    summary: &mut ImportSummary,
    meter: &Meter,
) -> Result<Vec<String>, Error> {
    let mut tars = Vec::new();
    let metadata = std::fs::metadata(place).map_err(Error::io("open", place))?;
    if metadata.is_dir() {
        list(place, MAX_DEPTH, &mut tars)?;
        tars.sort();
    } else {
        tars.push(place.to_path_buf());
    }
    if tars.is_empty() {
        return Err(Error::Unusable { path: place.to_path_buf(), why: "there are no .tar files in it".to_string() });
    }
    let mut manifest = TableWriter::create(&out.join("manifest.parquet"), &[])?;
    // Keys must be unique in a manifest; their fingerprints take 8 bytes a sample, 16 in the set.
    let mut keys = HashSet::new();
    let mut unnamed = 0;
    for path in &tars {
        let tar = OpenTar {
            file: File::open(path).map_err(Error::io("open", path))?,
            shard: relative(path, out)?,
            split: options.split.clone().or_else(|| split_in_path(path, place)),
            path: path.clone(),
        };
        meter.say(tar.shard.clone());
        for chunk in groups(&tar, summary).chunks(AT_ONCE) {
            let read: Vec<_> = chunk.par_iter().map(|group| tar.sample(group, options)).collect();
            for (group, found) in chunk.iter().zip(read) {
                match found {
                    Ok(mut sample) => {
                        sample.sample_key = group.key.clone();
                        if !keys.insert(fingerprint(&sample.sample_key)) {
                            sample.sample_key = format!("{}:{}", tar.shard, group.key);
                            if !keys.insert(fingerprint(&sample.sample_key)) {
                                summary.leave_out("repeated-key", &sample.sample_key, "another sample of the tar has the same key");
                                continue;
                            }
                        }
                        unnamed = unnamed.max(sample.label.map_or(0, |label| u64::from(label) + 1));
                        manifest.push(sample)?;
                        summary.samples += 1;
                    }
                    Err((reason, why)) => summary.leave_out(reason, format!("{}: {}", tar.shard, group.key), why),
                }
            }
            meter.add(chunk.len() as u64);
        }
    }
    manifest.finish()?;
    let folder = if metadata.is_dir() { place } else { place.parent().unwrap_or(Path::new("")) };
    let classes = class_names(folder)?;
    if !classes.is_empty() && unnamed > classes.len() as u64 {
        let why = format!("a sample has class {}, but only {} classes are named", unnamed - 1, classes.len());
        return Err(Error::Unusable { path: place.to_path_buf(), why });
    }
    Ok(classes)
}

fn list(folder: &Path, depth: usize, tars: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        if path.is_dir() {
            if depth > 0 {
                list(&path, depth - 1, tars)?;
            }
        } else if path.extension().is_some_and(|suffix| suffix == "tar") {
            tars.push(path);
        }
    }
    Ok(())
}

/// The split named by the folders of `path` below `place`, by `place` itself or by the beginning of the tar's name.
fn split_in_path(path: &Path, place: &Path) -> Option<String> {
    let below = path.strip_prefix(place).unwrap_or(path);
    let mut names: Vec<String> = below.components().map(|name| name.as_os_str().to_string_lossy().into_owned()).collect();
    names.extend(place.file_name().map(|name| name.to_string_lossy().into_owned()));
    let words = |name: &String| name.split(['-', '_', '.']).find_map(split_of);
    names.iter().find_map(|name| split_of(name)).or_else(|| names.iter().find_map(words)).map(str::to_string)
}

/// Class names by number, as `classes.json` (ours) or `classnames.txt` (CLIP_benchmark's datasets); none if neither is there.
fn class_names(folder: &Path) -> Result<Vec<String>, Error> {
    let read = |name: &str| match std::fs::read_to_string(folder.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", &folder.join(name))(error)),
    };
    if let Some(text) = read("classes.json")? {
        return serde_json::from_str(&text).map_err(|error| Error::Json { path: folder.join("classes.json"), why: error.to_string() });
    }
    Ok(read("classnames.txt")?.map_or(Vec::new(), |text| text.lines().map(clean_caption).collect()))
}

fn fingerprint(key: &str) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&blake3::hash(key.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

/// `tar` as seen from the folder that `out` will be, or from the root if there is no such way in UTF-8.
fn relative(tar: &Path, out: &Path) -> Result<String, Error> {
    let unusable = |why: &str| Error::Unusable { path: tar.to_path_buf(), why: why.to_string() };
    let tar = tar.canonicalize().map_err(Error::io("open", tar))?;
    // The folder still has its temporary name, but lies beside its place: the way is the same.
    let out = out.canonicalize().map_err(Error::io("open", out))?;
    let shared = tar.components().zip(out.components()).take_while(|(a, b)| a == b).count();
    // Nothing in common but the root: a way over it would break as soon as either is mounted elsewhere.
    let way = if shared <= 1 {
        tar.clone()
    } else {
        let up = out.components().skip(shared).map(|_| Component::ParentDir);
        up.chain(tar.components().skip(shared)).collect()
    };
    way.to_str().map(str::to_string).ok_or_else(|| unusable("its path is not UTF-8, which a manifest cannot hold"))
}

struct OpenTar {
    file: File,
    path: PathBuf,
    /// The path that the manifest names.
    shard: String,
    split: Option<String>,
}

/// The members of one sample: a run of equal keys.
struct Group {
    key: String,
    members: Vec<(String, Extent)>,
}

/// Key and suffix by WebDataset's rule: the suffix is what follows the first dot after the last slash.
fn key_and_suffix(name: &str) -> Option<(&str, String)> {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + name[base..].find('.')?;
    let hidden = dot == base || name[base..].starts_with("__");
    (!hidden).then(|| (&name[..dot], name[dot + 1..].to_ascii_lowercase()))
}

/// The samples of a tar; what follows damage is counted as one.
fn groups(tar: &OpenTar, summary: &mut ImportSummary) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let members = TarReader::open(&tar.path).map_or_else(|error| vec![Err(error)], |reader| reader.collect());
    for member in members {
        match member {
            Ok(Member { name, extent, .. }) => {
                let Some((key, suffix)) = key_and_suffix(&name) else { continue };
                // As open_clip does, a repeated suffix begins a new sample.
                match groups.last_mut().filter(|group| group.key == key && group.members.iter().all(|(known, _)| *known != suffix)) {
                    Some(group) => group.members.push((suffix, extent)),
                    None => groups.push(Group { key: key.to_string(), members: vec![(suffix, extent)] }),
                }
            }
            Err(error) => summary.leave_out("damaged-tar", &tar.shard, error),
        }
    }
    groups
}

impl OpenTar {
    fn sample(&self, group: &Group, options: &ImportOptions) -> Result<Sample, (&'static str, String)> {
        let member = |suffix: &str| group.members.iter().find(|(known, _)| known == suffix).map(|(_, extent)| *extent);
        let picture =
            PICTURES.iter().find_map(|suffix| member(suffix)).ok_or(("no-picture", "no JPEG, PNG, WebP or GIF member".to_string()))?;
        let (text, json) = (member("txt"), member("json"));
        let decoded = self.picture(picture, options)?;
        let label = match member("cls").map(|extent| self.text(extent)) {
            Some(Ok(text)) => Some(text.trim().parse::<u32>().map_err(|_| ("bad-class", format!("{text:?} is no number")))?),
            Some(Err(why)) => return Err(("bad-class", why)),
            None => None,
        };
        let mut captions: Vec<String> =
            text.and_then(|extent| self.text(extent).ok()).map(|text| clean_caption(&text)).into_iter().collect();
        captions.extend(json.and_then(|extent| self.text(extent).ok()).map_or(Vec::new(), |text| captions_in(&text)));
        let mut seen = HashSet::new();
        captions.retain(|caption| !caption.is_empty() && seen.insert(caption.clone()));
        let split = self.split.as_deref().unwrap_or(if label.is_some() { "test" } else { "train" });
        let mut sample = sample(&decoded, captions, label, split);
        let extents = [Some(picture), text, json].map(Option::unwrap_or_default);
        sample.shard = self.shard.clone();
        (sample.image_offset, sample.image_length) = (extents[0].offset, extents[0].length);
        (sample.text_offset, sample.text_length) = (extents[1].offset, extents[1].length);
        (sample.json_offset, sample.json_length) = (extents[2].offset, extents[2].length);
        Ok(sample)
    }

    fn picture(&self, extent: Extent, options: &ImportOptions) -> Result<Decoded, (&'static str, String)> {
        match too_long(extent.length) {
            Some(refusal) => Err(refusal),
            None => {
                let bytes = read_extent(&self.file, &self.path, extent).map_err(|error| ("unreadable", error.to_string()))?;
                check(bytes, &options.limits)
            }
        }
    }

    fn text(&self, extent: Extent) -> Result<String, String> {
        if extent.length > MAX_TEXT_BYTES {
            return Err(format!("{} bytes of text", extent.length));
        }
        let bytes = read_extent(&self.file, &self.path, extent).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The captions in a JSON member: `caption` as img2dataset writes it, `captions` as we do.
fn captions_in(text: &str) -> Vec<String> {
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else { return Vec::new() };
    let list = fields.get("captions").and_then(Value::as_array).into_iter().flatten();
    fields.get("caption").into_iter().chain(list).filter_map(Value::as_str).take(MAX_CAPTIONS).map(clean_caption).collect()
}
