//! The `shard` command's engine: one manifest into another whose tars are its own, in a seeded random order.
//!
//! The order is that of BLAKE3(seed, image id, sample key), so it depends on what the samples are and not on where they lay.
//! Two passes keep memory flat: rows are first spread by that hash over spill tables of a few hundred thousand rows, then
//! each table is sorted and its pictures are fetched. Knows nothing of models or selections.

use crate::census::Census;
use crate::pack::{MAX_IMAGE_BYTES, Packer, ShardLimits, sniff};
use crate::store::{self, Stored};
use crate::{AtomicFolder, Error, Extent, Format, Meta, Meter, Sample, TableReader, TableWriter, hash_file, read_extent, write_atomic};
use rayon::prelude::*;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Rows aimed at in a spill table: about 200 MB when all are in memory.
const SPILL_ROWS: u64 = 250_000;
/// Spill tables at most; beyond 128 million samples they grow instead.
const MAX_SPILLS: u64 = 512;
/// Rows that wait for each spill table, so that all of them together stay below 500 MB.
const SPILL_GROUP: usize = 1024;
/// Samples read ahead at once, and the bytes of their pictures at most.
const READ_AHEAD: usize = 64;
const READ_AHEAD_BYTES: u64 = 256 << 20;
/// Tars held open at once.
const MAX_OPEN: usize = 256;
/// Largest JSON member taken over.
const MAX_JSON_BYTES: u64 = 1 << 20;
/// Damaged samples named in the summary.
const MAX_NAMES: usize = 100;

/// What to pack, and how.
#[derive(Clone, Debug)]
pub struct ShuffleOptions {
    /// The manifest to read, a path or an address.
    pub manifest: PathBuf,
    /// The folder to write. At an address it appears file by file, the manifest last; each tar lies in the folder for temporary
    /// files until it is sent.
    pub out: PathBuf,
    /// Share of the groups (0 to 1) that goes to the split `val`.
    pub holdout: f64,
    /// Seed of the order and of the split.
    pub seed: u64,
    /// Samples in a tar at most.
    pub samples_per_shard: usize,
    /// A tar is closed before its pictures exceed this many bytes.
    pub max_shard_bytes: u64,
}

impl ShuffleOptions {
    /// 10,000 samples and at most 1 GiB a tar, no holdout, seed 0.
    pub fn new(manifest: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        let (manifest, out) = (manifest.into(), out.into());
        ShuffleOptions { manifest, out, holdout: 0.0, seed: 0, samples_per_shard: 10_000, max_shard_bytes: 1 << 30 }
    }
}

/// What was packed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShuffleSummary {
    /// Samples written.
    pub samples: u64,
    /// Those of them in the split `val`.
    pub val: u64,
    /// Tars written.
    pub shards: u64,
    /// Samples left out because their picture could not be read.
    pub damaged: u64,
    /// The first 100 of those, as `TAR: KEY: why`.
    pub damaged_names: Vec<String>,
}

/// Packs the samples of a manifest into shuffled tars. The folder appears at `out` in one step, replacing an older one.
///
/// # Errors
/// `Option` for values that make no sense; `Occupied` when `out` is something else than shards; `Unusable` when no sample at
/// all can be read; `Io` and `Table` for a manifest that cannot be read and a folder that cannot be written.
pub fn shuffle(options: &ShuffleOptions, meter: &Meter) -> Result<ShuffleSummary, Error> {
    if !(0.0..=1.0).contains(&options.holdout) {
        return Err(Error::Option { option: "holdout", why: format!("{} is not between 0 and 1", options.holdout) });
    }
    let limits = ShardLimits { samples: options.samples_per_shard, bytes: options.max_shard_bytes };
    limits.check()?;
    let reader = TableReader::<Sample>::open(&options.manifest)?;
    let total = reader.row_count();
    let address = store::is_address(&options.out).then(|| options.out.clone());
    let folder = AtomicFolder::create(&address.as_deref().map_or_else(|| options.out.clone(), waiting_room), "shards")?;
    meter.set_total(total);
    let base = options.manifest.parent().unwrap_or(Path::new(""));
    let tars = Tars { base: base.to_path_buf(), open: Mutex::default() };
    let mut packer = Packer::create(folder.part(), limits)?.with_address(address.clone());
    let mut census = Census::default();
    let mut summary = ShuffleSummary::default();
    for spill in spread(reader, folder.part(), options.seed)? {
        pack(sorted(&spill, options.seed)?, &tars, options, &mut packer, (&mut summary, &mut census), meter)?;
    }
    if summary.samples == 0 && total > 0 {
        let first = summary.damaged_names.first().map_or("", String::as_str);
        return Err(Error::Unusable { path: options.manifest.clone(), why: format!("none of its {total} samples can be read; {first}") });
    }
    summary.shards = packer.finish()?;
    if let Some(classes) = store::read(&base.join("classes.json"))? {
        write_atomic(&folder.part().join("classes.json"), &classes)?;
    }
    write_atomic(&folder.part().join("card.md"), card(options, base, &census, &summary)?.as_bytes())?;
    Meta::new("shards")
        .with("seed", options.seed)
        .with("holdout", options.holdout)
        .with("samples_per_shard", options.samples_per_shard)
        .with("max_shard_bytes", options.max_shard_bytes)
        .with("samples", summary.samples)
        .with("damaged", summary.damaged)
        .with_parent("manifest", &options.manifest)?
        .write(folder.part())?;
    match address {
        Some(address) => send_all(folder.part(), &address)?,
        None => folder.commit()?,
    }
    Ok(summary)
}

/// Where shards wait until they are sent to an address.
fn waiting_room(address: &Path) -> PathBuf {
    std::env::temp_dir().join(format!("diptych-shards-{}", &crate::url_name(&address.to_string_lossy())[..16]))
}

/// Sends what is in `folder`, the manifest last: shards without one are not there yet.
fn send_all(folder: &Path, address: &Path) -> Result<(), Error> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("list", folder))?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(Error::io("list", folder))?;
    paths.sort_by_key(|path| (path.ends_with("manifest.parquet"), path.clone()));
    paths.iter().try_for_each(|path| store::send(path, &address.join(path.file_name().unwrap_or_default())))
}

/// The card of what was packed, and what was said of it before.
fn card(options: &ShuffleOptions, base: &Path, census: &Census, summary: &ShuffleSummary) -> Result<String, Error> {
    let before = store::read(&base.join("card.md"))?;
    let mut card = before.map_or("# Shards\n".to_string(), |text| String::from_utf8_lossy(&text).into_owned());
    let settings = [
        ("tars", summary.shards.to_string()),
        ("seed of order and split", options.seed.to_string()),
        ("share of groups held out", options.holdout.to_string()),
        ("samples in a tar at most", options.samples_per_shard.to_string()),
        ("damaged samples left out", summary.damaged.to_string()),
        ("hash of the manifest they were made from", format!("`{}`", hash_file(&options.manifest)?)),
    ];
    card.push_str(&census.section("Shards", false, &settings));
    Ok(card)
}

/// A fraction of 1, as 64 bits, drawn from `seed` and what `parts` name.
fn draw(seed: u64, parts: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    for part in parts {
        hasher.update(part);
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_be_bytes(bytes)
}

fn position(sample: &Sample, seed: u64) -> u64 {
    draw(seed, &[b"order", &sample.image_id.0, sample.sample_key.as_bytes()])
}

/// Whether a group is held out. The threshold is a share of the 53 bits that a double holds exactly.
fn held_out(group: u64, options: &ShuffleOptions) -> bool {
    let fraction = (draw(options.seed, &[b"split", &group.to_le_bytes()]) >> 11) as f64 / (1u64 << 53) as f64;
    fraction < options.holdout
}

/// Spreads the rows over spill tables by the leading part of their position; the tables in order hold ascending positions.
fn spread(reader: TableReader<Sample>, folder: &Path, seed: u64) -> Result<Vec<PathBuf>, Error> {
    let count = reader.row_count().div_ceil(SPILL_ROWS).clamp(1, MAX_SPILLS);
    let paths: Vec<PathBuf> = (0..count).map(|i| folder.join(format!("spill-{i:03}.parquet"))).collect();
    let open = |path: &PathBuf| Ok(TableWriter::create(path, &[])?.with_group_rows(SPILL_GROUP));
    let mut spills = paths.iter().map(open).collect::<Result<Vec<TableWriter<Sample>>, Error>>()?;
    for batch in reader {
        for sample in batch? {
            let spill = (u128::from(position(&sample, seed)) * u128::from(count)) >> 64;
            spills[spill as usize].push(sample)?;
        }
    }
    spills.into_iter().try_for_each(|spill| spill.finish().map(drop))?;
    Ok(paths)
}

/// Reads one spill table in the order of positions, and removes it.
fn sorted(spill: &Path, seed: u64) -> Result<Vec<Sample>, Error> {
    let mut rows: Vec<Sample> = TableReader::read_all(spill)?;
    std::fs::remove_file(spill).map_err(Error::io("remove", spill))?;
    rows.sort_by_cached_key(|sample| (position(sample, seed), sample.sample_key.clone()));
    Ok(rows)
}

/// Fetches the pictures of `rows`, some at once, and packs them in order.
fn pack(
    rows: Vec<Sample>,
    tars: &Tars,
    options: &ShuffleOptions,
    packer: &mut Packer,
    (summary, census): (&mut ShuffleSummary, &mut Census),
    meter: &Meter,
) -> Result<(), Error> {
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(read_ahead(rest));
        rest = after;
        let pictures: Vec<Result<Taken, String>> = chunk.par_iter().map(|sample| tars.read(sample)).collect();
        for (sample, picture) in chunk.iter().zip(pictures) {
            match picture {
                Ok(stored) => {
                    let mut sample = sample.clone();
                    if sample.split == "train" || sample.split.is_empty() {
                        sample.split = if held_out(sample.group_id, options) { "val" } else { "train" }.to_string();
                    }
                    census.count(&sample);
                    summary.samples += 1;
                    summary.val += u64::from(sample.split == "val");
                    packer.push(sample, &stored.image, stored.format, stored.json)?;
                }
                Err(why) => {
                    summary.damaged += 1;
                    if summary.damaged_names.len() < MAX_NAMES {
                        summary.damaged_names.push(format!("{}: {}: {why}", sample.shard, sample.sample_key));
                    }
                    meter.say(format!("{} damaged", summary.damaged));
                }
            }
        }
        meter.add(chunk.len() as u64);
    }
    Ok(())
}

/// How many samples to read at once: at least one.
fn read_ahead(rows: &[Sample]) -> usize {
    let mut bytes = 0;
    let fits = |sample: &&Sample| {
        bytes += sample.image_length.min(MAX_IMAGE_BYTES);
        bytes <= READ_AHEAD_BYTES
    };
    rows.iter().take(READ_AHEAD).take_while(fits).count().max(1)
}

/// A sample's members as they lay in its old tar.
struct Taken {
    image: Vec<u8>,
    format: Format,
    json: Map<String, Value>,
}

/// The tars a manifest refers to, some of them held open.
struct Tars {
    base: PathBuf,
    // A lock around a look-up of some hundred names; the reading itself goes by position, outside of it.
    open: Mutex<HashMap<String, Arc<Stored>>>,
}

impl Tars {
    fn file(&self, shard: &str, path: &Path) -> Result<Arc<Stored>, Error> {
        let mut open = self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(file) = open.get(shard) {
            return Ok(file.clone());
        }
        if open.len() >= MAX_OPEN {
            open.clear();
        }
        let file = Arc::new(Stored::open(path)?);
        open.insert(shard.to_string(), file.clone());
        Ok(file)
    }

    /// Reads a sample's picture and JSON record; `Err` says in words why it is damaged.
    fn read(&self, sample: &Sample) -> Result<Taken, String> {
        if sample.image_length == 0 || sample.image_length > MAX_IMAGE_BYTES {
            return Err(format!("a picture of {} bytes", sample.image_length));
        }
        let path = store::beside(&self.base, &sample.shard);
        let words = |error: Error| match &error {
            Error::Io { source, .. } => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        let file = self.file(&sample.shard, &path).map_err(words)?;
        let image = read_extent(&file, &path, sample.image()).map_err(words)?;
        let format = sniff(&image).ok_or("the bytes are no picture")?;
        let json = if sample.json_length > 0 && sample.json_length <= MAX_JSON_BYTES { sample.json() } else { Extent::default() };
        // The record only adds to what the manifest says: without it the sample is as good.
        let json = read_extent(&file, &path, json).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Ok(Taken { image, format, json })
    }
}

#[cfg(test)]
#[path = "shuffle_tests.rs"]
mod tests;
