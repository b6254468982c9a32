//! Rebuilding from what is left: members of an archive from their rows, a manifest or a pool table from its archives.
//!
//! Nothing is guessed: a picture whose bytes do not have their sum is lost, and is named.

use crate::pack::sniff;
use crate::tar::{BLOCK, header, member_sum};
use crate::{
    Candidate, Error, Extent, ImageId, Limits, PairId, PoolRow, Received, Sample, TableWriter, TarReader, erase, member_at, read_extent,
};
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Longest member read, in bytes.
const MAX_MEMBER: u64 = 1 << 28;

/// What a row says of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The samples's key: the name up to the suffix.
    pub key: String,
    /// The suffix; `None` for a picture, whose bytes tell it.
    pub suffix: Option<&'static str>,
    /// Where its data lies.
    pub extent: Extent,
    /// Its data, where the row knows it.
    pub data: Option<Vec<u8>>,
}

/// What mending an archive came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Members whose header or data was written again.
    pub members: u64,
    /// Members that cannot be: `KEY: why`.
    pub lost: Vec<String>,
}

/// Writes the damaged members of the archive at `path` again, from their rows: all of a text, the header of a picture whose data has the
/// sum that the old header still carries. Also the end mark, when only it is cut off.
///
/// # Errors
/// `Io` when the archive cannot be read or written.
pub fn mend(path: &Path, members: &[Expected]) -> Result<Mended, Error> {
    let file = File::options().read(true).write(true).open(path).map_err(Error::io("open", path))?;
    let io = || Error::io("write", path);
    let mut done = Mended::default();
    let mut end = 0;
    for expected in members.iter().filter(|expected| expected.extent.length > 0) {
        end = end.max(expected.extent.offset + expected.extent.length.next_multiple_of(BLOCK));
        match state(&file, path, expected) {
            State::Whole => {}
            State::Lost(why) => done.lost.push(format!("{}: {why}", expected.key)),
            State::Mendable { name, data } => {
                file.write_all_at(&header(&name, expected.extent.length, member_sum(&data)), expected.extent.offset - BLOCK)
                    .map_err(io())?;
                if expected.data.is_some() {
                    file.write_all_at(&data, expected.extent.offset).map_err(io())?;
                }
                done.members += 1;
            }
        }
    }
    let size = file.metadata().map_err(Error::io("inspect", path))?.len();
    if done.lost.is_empty() && (end..end + 2 * BLOCK).contains(&size) {
        file.set_len(end + 2 * BLOCK).map_err(io())?;
        done.members += 1;
    }
    file.sync_all().map_err(Error::io("sync", path))?;
    Ok(done)
}

/// How a member is.
enum State {
    Whole,
    Mendable { name: String, data: Vec<u8> },
    Lost(String),
}

fn state(file: &File, path: &Path, expected: &Expected) -> State {
    let extent = expected.extent;
    if extent.length > MAX_MEMBER || extent.offset < BLOCK {
        return State::Lost("its row makes no sense".to_string());
    }
    let stored = match read_extent(file, path, extent) {
        Ok(stored) => stored,
        Err(error) => return State::Lost(error.to_string()),
    };
    let sum = member_sum(&stored);
    let found = member_at(file, path, extent).ok();
    if found.as_ref().is_some_and(|member| member.name == erase::ERASED) {
        return State::Lost("it was taken down".to_string());
    }
    if found.as_ref().is_some_and(|member| member.sum == Some(sum) && member.name.split('.').next() == Some(&expected.key)) {
        return State::Whole;
    }
    let suffix = expected.suffix.or_else(|| sniff(&stored).map(|format| format.suffix()));
    match (&expected.data, suffix) {
        (Some(data), Some(suffix)) if data.len() as u64 == extent.length => {
            State::Mendable { name: format!("{}.{suffix}", expected.key), data: data.clone() }
        }
        (_, Some(suffix)) if carried_sum(file, extent) == Some(sum) => {
            State::Mendable { name: format!("{}.{suffix}", expected.key), data: stored }
        }
        (Some(_), _) => State::Lost("its row has another length".to_string()),
        (None, _) => State::Lost("its bytes are not those that were written, and nothing else has them".to_string()),
    }
}

/// The sum of the data that a header carries, damaged or not.
fn carried_sum(file: &File, extent: Extent) -> Option<[u8; 6]> {
    let mut block = [0; BLOCK as usize];
    file.read_exact_at(&mut block, extent.offset - BLOCK).ok()?;
    crate::tar::data_sum(&block)
}

/// The members of one sample of an archive of ours.
#[derive(Default)]
struct Members {
    key: String,
    image: Extent,
    text: Extent,
    json: Extent,
}

/// Hands each sample of the archive at `path` to `take`, with its record; those without a picture and record are passed over.
fn samples(path: &Path, mut take: impl FnMut(&File, Members, Value) -> Result<(), Error>) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut members = Members::default();
    let mut finish = |members: &mut Members| {
        let whole = std::mem::take(members);
        if whole.image.length == 0 || whole.json.length == 0 || whole.json.length > MAX_MEMBER {
            return Ok(());
        }
        let record = serde_json::from_slice(&read_extent(&file, path, whole.json)?);
        record.map_or(Ok(()), |record| take(&file, whole, record))
    };
    for member in TarReader::open(path)? {
        let member = member?;
        let Some((key, suffix)) = member.name.split_once('.') else { continue };
        if key != members.key {
            finish(&mut members)?;
            members.key = key.to_string();
        }
        match suffix {
            "txt" => members.text = member.extent,
            "json" => members.json = member.extent,
            _ => members.image = member.extent,
        }
    }
    finish(&mut members)
}

/// Makes `manifest.parquet` of a folder of shards anew from the records in its tars; returns the number of samples. For shards of this
/// version it is the very file that was there.
///
/// # Errors
/// `Tar` when an archive is damaged, `Unusable` when there is none, `Io` and `Table` for what cannot be read or written.
pub fn rebuild_manifest(folder: &Path) -> Result<u64, Error> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("list", folder))?;
    let mut tars: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "tar")).collect();
    tars.sort();
    if tars.is_empty() {
        return Err(Error::Unusable { path: folder.to_path_buf(), why: "there is no tar in it".to_string() });
    }
    let mut manifest = TableWriter::<Sample>::create(&folder.join("manifest.parquet"), &[])?;
    for tar in &tars {
        let shard = tar.file_name().unwrap_or_default().to_string_lossy().into_owned();
        samples(tar, |_, members, record| match sample(&members, &record, &shard) {
            Some(sample) => manifest.push(sample),
            None => Err(Error::Unusable { path: tar.clone(), why: format!("the record of {} lacks something", members.key) }),
        })?;
    }
    manifest.finish()
}

fn sample(members: &Members, record: &Value, shard: &str) -> Option<Sample> {
    let word = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_string);
    let number = |name: &str| record.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let words = |name: &str| -> Option<Vec<&str>> { record.get(name)?.as_array()?.iter().map(Value::as_str).collect() };
    let queries = record.get("query_ids").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64);
    Some(Sample {
        sample_key: members.key.clone(),
        image_id: word("image_id")?.parse().ok()?,
        pair_ids: words("pair_ids")?.into_iter().map(|id| id.parse::<PairId>().ok()).collect::<Option<_>>()?,
        captions: words("captions")?.into_iter().map(str::to_string).collect(),
        query_ids: queries.filter_map(|query| u32::try_from(query).ok()).collect(),
        image_url: word("url")?,
        page_url: word("page_url")?,
        split: word("split")?,
        label: number("label"),
        weight: record.get("weight").and_then(Value::as_f64)? as f32,
        group_id: word("group_id")?.parse().ok()?,
        shard: shard.to_string(),
        image_offset: members.image.offset,
        image_length: members.image.length,
        text_offset: members.text.offset,
        text_length: members.text.length,
        json_offset: members.json.offset,
        json_length: members.json.length,
        width: number("width")?,
        height: number("height")?,
    })
}

/// Makes the pool table of a segment anew from its tar and its candidates; returns the number of rows. What a crawl measured of the
/// pictures as received is measured of the stored ones.
///
/// # Errors
/// `Tar` when the archive is damaged, `Io` and `Table` for what cannot be read or written.
pub fn rebuild_pool(tar: &Path, candidates: &[Candidate]) -> Result<u64, Error> {
    let queries: HashMap<PairId, &Candidate> = candidates.iter().map(|row| (row.pair_id, row)).collect();
    let mut table = TableWriter::<PoolRow>::create(&tar.with_extension("parquet"), &[])?;
    samples(tar, |file, members, record| {
        let bytes = read_extent(file, tar, Extent { length: members.image.length.min(MAX_MEMBER), ..members.image })?;
        match pool_row(&members, &record, &bytes, &queries) {
            Some(row) => table.push(row),
            None => Err(Error::Unusable { path: tar.to_path_buf(), why: format!("the record or picture of {} is damaged", members.key) }),
        }
    })?;
    table.finish()
}

fn pool_row(members: &Members, record: &Value, bytes: &[u8], candidates: &HashMap<PairId, &Candidate>) -> Option<PoolRow> {
    let word = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_string);
    let number = |name: &str| record.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let pair_id: PairId = word("pair_id")?.parse().ok()?;
    let measures = Received::decode(bytes, &Limits::default()).ok()?.measures();
    Some(PoolRow {
        url: word("url")?,
        caption: word("caption")?,
        key: members.key.clone(),
        status: "success".to_string(),
        width: number("width")?,
        height: number("height")?,
        original_width: number("original_width")?,
        original_height: number("original_height")?,
        sha256: word("sha256"),
        pair_id,
        image_id: word("image_id")?.parse::<ImageId>().ok()?,
        page_url: word("page_url")?,
        query_ids: candidates.get(&pair_id).map(|row| row.query_ids.clone()).unwrap_or_default(),
        pixel_hash: measures.pixel_hash,
        perceptual_hash: measures.perceptual_hash,
        thumbnail: measures.thumbnail,
        flatness: measures.flatness,
        image_offset: members.image.offset,
        image_length: members.image.length,
        text_offset: members.text.offset,
        text_length: members.text.length,
        json_offset: members.json.offset,
        json_length: members.json.length,
    })
}
