//! `tar:`, `img2dataset:` and `datacomp:`: WebDataset tars as others wrote them. Nothing is copied, the manifest refers to them.

use super::record::{MAX_CAPTIONS, Record};
use super::{AT_ONCE, Decoded, ImportOptions, ImportSummary, NO_TARS, check, sample, split_of, too_long};
use crate::pack::ShardLimits;
use crate::store::{Stored, is_address, read as read_file};
use crate::{Error, Extent, Member, Meter, Sample, TableWriter, TarReader, clean_caption, read_extent, write_atomic};
use rayon::prelude::*;
use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

/// Member suffixes of pictures, in the order of preference within a sample.
const PICTURES: [&str; 6] = ["jpg", "jpeg", "png", "webp", "gif", "jpe"];
/// Largest text, class or JSON member read, in bytes.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Folders below the given one that are searched for tars.
const MAX_DEPTH: usize = 3;

/// How members are read, beyond what the tars themselves say.
#[derive(Default)]
struct Reading {
    /// A text member holds a caption in each line, as in CLIP_benchmark's retrieval sets.
    lines: bool,
    /// Only samples whose record has one of these uids, ascending.
    uids: Option<Vec<u128>>,
    /// Samples without a split in their path are for training, labelled or not.
    train: bool,
}

/// `tar:`: any WebDataset tars.
pub(super) fn import(
    place: &Path,
    out: &Path,
    options: &ImportOptions,
    _: ShardLimits,
    summary: &mut ImportSummary,
    meter: &Meter,
) -> Result<Vec<String>, Error> {
    let is_file = !is_address(place) && std::fs::metadata(place).map_err(Error::io("open", place))?.is_file();
    let folder = if is_file || is_address(place) { place.parent().unwrap_or(Path::new("")) } else { place };
    let kind = read_file(&folder.join("dataset_type.txt"))?;
    let lines = kind.is_some_and(|text| text.trim_ascii() == b"retrieval");
    let tars = if is_file || is_address(place) { braces(place)? } else { below(place, MAX_DEPTH)? };
    let unnamed = read_all(&tars, place, out, options, &Reading { lines, ..Reading::default() }, summary, meter)?;
    let classes = class_names(folder)?;
    if !classes.is_empty() && unnamed > classes.len() as u64 {
        let why = format!("a sample has class {}, but only {} classes are named", unnamed - 1, classes.len());
        return Err(Error::Unusable { path: place.to_path_buf(), why });
    }
    if let Some(text) = read_file(&folder.join("zeroshot_classification_templates.txt"))? {
        // The class' place is `{c}` there and `{}` here.
        write_atomic(&out.join("templates.txt"), String::from_utf8_lossy(&text).replace("{c}", "{}").as_bytes())?;
    }
    Ok(classes)
}

/// `img2dataset:`: the tars of an output folder, without those in folders below.
pub(super) fn img2dataset(
    place: &Path,
    out: &Path,
    options: &ImportOptions,
    _: ShardLimits,
    summary: &mut ImportSummary,
    meter: &Meter,
) -> Result<Vec<String>, Error> {
    let reading = Reading { train: true, ..Reading::default() };
    read_all(&below(place, 0)?, place, out, options, &reading, summary, meter)?;
    Ok(Vec::new())
}

/// `datacomp:`: the tars in `shards/` of a DataComp folder, or in the folder itself, and of them what the subset names.
pub(super) fn datacomp(
    place: &Path,
    out: &Path,
    options: &ImportOptions,
    _: ShardLimits,
    summary: &mut ImportSummary,
    meter: &Meter,
) -> Result<Vec<String>, Error> {
    let shards = place.join("shards");
    let shards = if shards.is_dir() { shards } else { place.to_path_buf() };
    let uids = options.subset.as_deref().map(super::uids::read).transpose()?;
    read_all(&below(&shards, 0)?, &shards, out, options, &Reading { uids, train: true, ..Reading::default() }, summary, meter)?;
    Ok(Vec::new())
}

/// Reads the samples of all tars into a manifest that refers to them; returns one more than the highest class.
fn read_all(
    tars: &[PathBuf],
    place: &Path,
    out: &Path,
    options: &ImportOptions,
    reading: &Reading,
    summary: &mut ImportSummary,
    meter: &Meter,
) -> Result<u64, Error> {
    if tars.is_empty() {
        return Err(Error::Unusable { path: place.to_path_buf(), why: NO_TARS.to_string() });
    }
    let mut manifest = TableWriter::create(&out.join("manifest.parquet"), &[])?;
    // Keys must be unique in a manifest; their fingerprints take 8 bytes a sample, 16 in the set.
    let mut keys = HashSet::new();
    let mut unnamed = 0;
    for path in tars {
        let tar = OpenTar {
            file: Stored::open_ahead(path)?,
            shard: relative(path, out)?,
            split: options.split.clone().or_else(|| split_in_path(path, place)),
            path: path.clone(),
        };
        meter.say(tar.shard.clone());
        for chunk in groups(&tar, summary).chunks(AT_ONCE) {
            let read: Vec<_> = chunk.par_iter().map(|group| tar.sample(group, options, reading)).collect();
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
                        summary.count(&sample);
                        manifest.push(sample)?;
                    }
                    Err((reason, why)) => summary.leave_out(reason, format!("{}: {}", tar.shard, group.key), why),
                }
            }
            meter.add(chunk.len() as u64);
        }
    }
    manifest.finish()?;
    Ok(unnamed)
}

/// The tars in a folder and `depth` folders below, by path.
pub(super) fn below(folder: &Path, depth: usize) -> Result<Vec<PathBuf>, Error> {
    let mut tars = Vec::new();
    list(folder, depth, &mut tars)?;
    tars.sort();
    Ok(tars)
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

/// The paths that a pattern such as `s3://b/{00000..00041}.tar` stands for, as WebDataset has it; a path without braces is itself.
fn braces(pattern: &Path) -> Result<Vec<PathBuf>, Error> {
    let text = pattern.to_string_lossy();
    let parts = text.split_once('{').and_then(|(head, rest)| rest.split_once('}').map(|(range, tail)| (head, range, tail)));
    let Some((head, range, tail)) = parts else { return Ok(vec![pattern.to_path_buf()]) };
    let wrong = || Error::Option {
        option: "import",
        why: format!("{{{range}}} is not two numbers of at most 1,000,000 tars, as {{00000..00041}}"),
    };
    let (from, to) = range.split_once("..").ok_or_else(wrong)?;
    let (first, last): (u64, u64) = (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?);
    if last < first || last - first >= 1_000_000 {
        return Err(wrong());
    }
    Ok((first..=last).map(|n| PathBuf::from(format!("{head}{n:0width$}{tail}", width = from.len()))).collect())
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
    let read = |name: &str| Ok::<_, Error>(read_file(&folder.join(name))?.map(|text| String::from_utf8_lossy(&text).into_owned()));
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
    if is_address(tar) {
        return tar.to_str().map(str::to_string).ok_or_else(|| unusable("its address is not UTF-8"));
    }
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

/// A tar whose samples are read.
pub(super) struct OpenTar {
    pub(super) file: Stored,
    pub(super) path: PathBuf,
    /// The path that the manifest names.
    pub(super) shard: String,
    pub(super) split: Option<String>,
}

/// The members of one sample: a run of equal keys.
pub(super) struct Group {
    pub(super) key: String,
    members: Vec<(String, Extent)>,
}

impl Group {
    pub(super) fn member(&self, suffix: &str) -> Option<Extent> {
        self.members.iter().find(|(known, _)| known == suffix).map(|(_, extent)| *extent)
    }

    /// The picture's member.
    pub(super) fn picture(&self) -> Result<Extent, (&'static str, String)> {
        let found = PICTURES.iter().find_map(|suffix| self.member(suffix));
        found.ok_or(("no-picture", "no JPEG, PNG, WebP or GIF member".to_string()))
    }
}

/// Key and suffix by WebDataset's rule: the suffix is what follows the first dot after the last slash.
fn key_and_suffix(name: &str) -> Option<(&str, String)> {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + name[base..].find('.')?;
    let hidden = dot == base || name[base..].starts_with("__");
    (!hidden).then(|| (&name[..dot], name[dot + 1..].to_ascii_lowercase()))
}

/// The samples of a tar; what follows damage is counted as one.
pub(super) fn groups(tar: &OpenTar, summary: &mut ImportSummary) -> Vec<Group> {
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
    fn sample(&self, group: &Group, options: &ImportOptions, reading: &Reading) -> Result<Sample, (&'static str, String)> {
        let picture = group.picture()?;
        let (text, json) = (group.member("txt"), group.member("json"));
        let record = self.record(group);
        if let Some(uids) = &reading.uids
            && record.uid.is_none_or(|uid| uids.binary_search(&uid).is_err())
        {
            return Err(("not-in-subset", "its uid is not in the subset".to_string()));
        }
        let decoded = self.picture(picture, options)?;
        let label = match group.member("cls").map(|extent| self.text(extent)) {
            Some(Ok(text)) => Some(text.trim().parse::<u32>().map_err(|_| ("bad-class", format!("{text:?} is no number")))?),
            Some(Err(why)) => return Err(("bad-class", why)),
            None => None,
        };
        let text_member = text.and_then(|extent| self.text(extent).ok()).unwrap_or_default();
        let mut captions: Vec<String> = match reading.lines {
            true => text_member.lines().take(MAX_CAPTIONS).map(clean_caption).collect(),
            false => vec![clean_caption(&text_member)],
        };
        captions.extend(record.captions.iter().cloned());
        let mut seen = HashSet::new();
        captions.retain(|caption| !caption.is_empty() && seen.insert(caption.clone()));
        let unlabelled = label.is_none() || reading.train;
        let split = self.split.as_deref().unwrap_or(if unlabelled { "train" } else { "test" });
        let mut sample = sample(&decoded, captions, label, split);
        record.fill(&mut sample);
        let extents = [Some(picture), text, json].map(Option::unwrap_or_default);
        sample.shard = self.shard.clone();
        (sample.image_offset, sample.image_length) = (extents[0].offset, extents[0].length);
        (sample.text_offset, sample.text_length) = (extents[1].offset, extents[1].length);
        (sample.json_offset, sample.json_length) = (extents[2].offset, extents[2].length);
        Ok(sample)
    }

    /// The sample's JSON record.
    pub(super) fn record(&self, group: &Group) -> Record {
        group.member("json").and_then(|extent| self.text(extent).ok()).map_or_else(Record::default, |text| Record::read(&text))
    }

    fn picture(&self, extent: Extent, options: &ImportOptions) -> Result<Decoded, (&'static str, String)> {
        match too_long(extent.length) {
            Some(refusal) => Err(refusal),
            None => {
                let bytes = self.bytes(extent)?;
                check(bytes, &options.limits)
            }
        }
    }

    /// A member's bytes.
    pub(super) fn bytes(&self, extent: Extent) -> Result<Vec<u8>, (&'static str, String)> {
        read_extent(&self.file, &self.path, extent).map_err(|error| ("unreadable", error.to_string()))
    }

    pub(super) fn text(&self, extent: Extent) -> Result<String, String> {
        if extent.length > MAX_TEXT_BYTES {
            return Err(format!("{} bytes of text", extent.length));
        }
        let bytes = read_extent(&self.file, &self.path, extent).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
