//! Foreign datasets as manifests: `import KIND:WHERE`, one file for each kind below.
//!
//! Every picture is decoded once, so that a manifest names only what a loader can read.

mod folders;
mod raw;
mod record;
mod segment;
mod tars;
mod uids;

pub use segment::{PoolImport, PoolSource, Queries, Segment, pool_sources, tables_without_tar};

use crate::census::Census;
use crate::pack::{MAX_IMAGE_BYTES, ShardLimits, write_json};
use crate::{AtomicFolder, Error, Format, ImageId, Limits, Meta, Meter, PictureError, Sample, decode, write_atomic};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files decoded at once; their bytes are in memory together.
const AT_ONCE: usize = 64;
/// Files named in the summary for each reason.
const MAX_NAMES: usize = 20;
/// What is said of a folder without tars. img2dataset writes other forms too, its `files` by default.
const NO_TARS: &str = "there are no .tar files in it; of img2dataset, only what --output_format=webdataset writes is read";
/// Folder names that are splits, and the splits.
const SPLITS: [(&str, &str); 5] = [("train", "train"), ("val", "val"), ("valid", "val"), ("validation", "val"), ("test", "test")];

/// How to import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The split of all samples; `None` takes it from folder names, see [`import`].
    pub split: Option<String>,
    /// What a picture may cost at most.
    pub limits: Limits,
    /// Samples in a tar at most, where tars are written.
    pub samples_per_shard: usize,
    /// A tar is closed before its pictures exceed this many bytes.
    pub max_shard_bytes: u64,
    /// For `datacomp:`, the subset: a NumPy file of the uids to take.
    pub subset: Option<PathBuf>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        ImportOptions { split: None, limits: Limits::default(), samples_per_shard: 10_000, max_shard_bytes: 1 << 30, subset: None }
    }
}

/// What was imported.
#[derive(Clone, Debug, Default)]
pub struct ImportSummary {
    /// Samples in the manifest.
    pub samples: u64,
    /// Classes in `classes.json`.
    pub classes: u64,
    /// What was left out: counts by reason.
    pub left_out: BTreeMap<String, u64>,
    /// The first 20 names for each reason, as `REASON: NAME: why`.
    pub names: Vec<String>,
    census: Census,
}

impl ImportSummary {
    fn count(&mut self, sample: &Sample) {
        self.samples += 1;
        self.census.count(sample);
    }

    fn leave_out_many(&mut self, reason: &str, count: u64) {
        *self.left_out.entry(reason.to_string()).or_default() += count;
    }

    fn leave_out(&mut self, reason: &str, name: impl std::fmt::Display, why: impl std::fmt::Display) {
        let count = self.left_out.entry(reason.to_string()).or_default();
        *count += 1;
        if *count <= MAX_NAMES as u64 {
            self.names.push(format!("{reason}: {name}: {why}"));
        }
    }
}

/// Makes a manifest of the data that `source`, a `KIND:WHERE`, names; the folder appears at `out` in one step.
///
/// - `folder:DIR`: class folders `DIR/CLASS/...` or `DIR/SPLIT/CLASS/...` (`train`, `val`, `valid`, `validation`, `test`) of
///   JPEG, PNG, WebP and GIF files, packed into tars. Classes are numbered by name; the caption is the class name with
///   underscores as blanks. Without split folders the split is `test`.
/// - `tar:FILE` or `tar:DIR`: WebDataset tars, of which nothing is copied: the manifest refers to them where they lie. Captions
///   from `.txt` and `.json` members, labels from `.cls`. The split is that in the tar's or its folder's name, else `test` for
///   samples with a label and `train` for others. Beside them `classnames.txt` names the classes, `dataset_type.txt` may say
///   `retrieval` (a caption in each line) and `zeroshot_classification_templates.txt` becomes `templates.txt`, as CLIP_benchmark
///   has it. An address may hold a range: `tar:s3://bucket/{00000..00041}.tar`.
/// - `img2dataset:DIR`: the tars of an output folder; `datacomp:DIR`: those of a DataComp folder, and of them the subset. The split
///   is `train`.
/// - `cifar:DIR`: the binary version of CIFAR-10 or CIFAR-100; `mnist:DIR`: pairs of IDX files.
///
/// # Errors
/// `Option` for an unknown kind; `Unusable` when the data is not laid out so, or no picture can be read; `Occupied` when `out`
/// is something else than shards; `Io`, `Table` and `Tar` for what cannot be read or written as a whole.
pub fn import(source: &str, out: &Path, options: &ImportOptions, meter: &Meter) -> Result<ImportSummary, Error> {
    let unknown = || Error::Option { option: "import", why: format!("{source:?} is none of {}", IMPORT_KINDS.join(", ")) };
    let (kind, place) = source.split_once(':').filter(|(_, place)| !place.is_empty()).ok_or_else(unknown)?;
    let place = Path::new(place);
    if let Some(split) = options.split.as_deref().filter(|split| !SPLITS.iter().any(|(_, known)| known == split)) {
        return Err(Error::Option { option: "split", why: format!("{split:?} is not train, val or test") });
    }
    let limits = ShardLimits { samples: options.samples_per_shard, bytes: options.max_shard_bytes };
    limits.check()?;
    let run = match kind {
        "folder" => folders::import,
        "tar" => tars::import,
        "img2dataset" => tars::img2dataset,
        "datacomp" => tars::datacomp,
        "cifar" => raw::cifar,
        "mnist" => raw::mnist,
        _ => return Err(unknown()),
    };
    let folder = AtomicFolder::create(out, "shards")?;
    let mut summary = ImportSummary::default();
    let classes = run(place, folder.part(), options, limits, &mut summary, meter)?;
    if summary.samples == 0 {
        let why = summary.names.first().map_or("there are no pictures in it", String::as_str);
        return Err(Error::Unusable { path: place.to_path_buf(), why: format!("no sample can be read; {why}") });
    }
    summary.classes = classes.len() as u64;
    if !classes.is_empty() {
        write_json(&folder.part().join("classes.json"), &classes)?;
    }
    write_atomic(&folder.part().join("card.md"), card(kind, place, &summary).as_bytes())?;
    let left_out: u64 = summary.left_out.values().sum();
    let meta = Meta::new("shards").with("imported", kind).with("samples", summary.samples).with("left_out", left_out);
    meta.write(folder.part())?;
    folder.commit()?;
    Ok(summary)
}

/// What `KIND:WHERE` may be.
pub const IMPORT_KINDS: [&str; 6] = ["folder:DIR", "tar:PATH", "img2dataset:DIR", "datacomp:DIR", "cifar:DIR", "mnist:DIR"];

/// The card of an imported set. It names the place by its last part only: the way there is this machine's affair.
fn card(kind: &str, place: &Path, summary: &ImportSummary) -> String {
    let name = place.file_name().unwrap_or_default().to_string_lossy().replace(['|', '`', '\n'], "?");
    let mut card = format!("# Imported from `{kind}:{name}`\n\n");
    card.push_str("Pictures and captions are those of that set, and so are their licences and dates: nothing here says what they are.\n");
    if !summary.left_out.is_empty() {
        card.push_str("\n## Left out\n\n| reason | samples |\n|---|---:|\n");
        summary.left_out.iter().for_each(|(reason, n)| card.push_str(&format!("| {reason} | {n} |\n")));
    }
    let settings = [("kind", kind.to_string()), ("classes", summary.classes.to_string())];
    card + &summary.census.section("What it holds", true, &settings)
}

/// The split that a file or folder name stands for.
fn split_of(name: &str) -> Option<&'static str> {
    SPLITS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, split)| *split)
}

/// A picture that could be decoded.
struct Decoded {
    bytes: Vec<u8>,
    format: Format,
    id: ImageId,
    width: u32,
    height: u32,
}

/// Decodes `bytes`; `Err` holds the reason under which it is counted, and why.
fn check(bytes: Vec<u8>, limits: &Limits) -> Result<Decoded, (&'static str, String)> {
    let picture = decode(&bytes, limits).map_err(|error| {
        let reason = match error {
            PictureError::Unknown => "not-a-picture",
            PictureError::TooLarge { .. } => "too-large",
            PictureError::Damaged(_) => "damaged",
        };
        (reason, error.to_string())
    })?;
    let (width, height) = picture.pixels.dimensions();
    Ok(Decoded { id: ImageId::of(&bytes), format: picture.format, bytes, width, height })
}

/// Why a file of this length is not even read.
fn too_long(length: u64) -> Option<(&'static str, String)> {
    (length > MAX_IMAGE_BYTES).then(|| ("too-large", format!("{length} bytes, more than {MAX_IMAGE_BYTES}")))
}

/// A sample of an imported picture; where it lies is for the caller to say. Equal pictures share a group.
fn sample(picture: &Decoded, captions: Vec<String>, label: Option<u32>, split: &str) -> Sample {
    let mut group = [0; 8];
    group.copy_from_slice(&picture.id.0[..8]);
    Sample {
        sample_key: String::new(),
        image_id: picture.id,
        pair_ids: Vec::new(),
        captions,
        query_ids: Vec::new(),
        image_url: String::new(),
        page_url: String::new(),
        split: split.to_string(),
        label,
        weight: 1.0,
        group_id: u64::from_le_bytes(group),
        shard: String::new(),
        image_offset: 0,
        image_length: 0,
        text_offset: 0,
        text_length: 0,
        json_offset: 0,
        json_length: 0,
        width: picture.width,
        height: picture.height,
    }
}

#[cfg(test)]
#[path = "import/tests.rs"]
mod tests;
