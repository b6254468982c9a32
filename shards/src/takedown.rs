//! Taking samples out of a folder with a manifest: archives first, then the tables, then everything that counts or sums them.
//!
//! Which samples, `removed.parquet` says; it must be in place before. Killed anywhere, doing it again ends in the same files: what the
//! manifest still lists is erased (again), and counts and sums are made from what lies there.

use crate::pack::SUMS;
use crate::removed::Removed;
use crate::{
    Error, Extent, Meta, PairId, Reason, Removal, Row, Sample, TableReader, TableWriter, erase, hash_file, store, write_atomic, write_json,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

/// The note of a rewritten table: BLAKE3 of the files that it replaced, the latest first, with commas.
pub const REPLACES: &str = "replaces";
/// The heading of what a takedown adds to a card.
const CARD_HEADING: &str = "\n## Taken down since\n";

/// What a takedown did to one folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenDown {
    /// Samples that left the manifest.
    pub samples: u64,
    /// Places where no member was found, because the archive is damaged: `TAR at byte N`. Their bytes are zeros now.
    pub missed: Vec<String>,
}

/// Takes out of the manifest in `folder` what the `removed.parquet` in `place` names (the folder itself, or its corpus), and
/// records there which manifests had held it. With `archives`, the samples are erased from the manifest's archives first.
///
/// # Errors
/// `Io`, `Table` and the like for what cannot be read or written; done again, it goes on.
pub fn take_down(folder: &Path, place: &Path, archives: bool, now_ms: i64) -> Result<TakenDown, Error> {
    let mut removed = Removed::clone(&*Removed::read(place)?);
    let path = folder.join("manifest.parquet");
    let mut extents: BTreeMap<String, Vec<Extent>> = BTreeMap::new();
    let mut requests: BTreeSet<String> = BTreeSet::new();
    let mut done = TakenDown::default();
    let reader = TableReader::<Sample>::open_all(&path)?;
    let mut hashes = replaced(&reader);
    for batch in reader {
        for row in batch? {
            if let Some(request) = removed.sample(&row) {
                if !requests.contains(request) {
                    requests.insert(request.to_string());
                }
                done.samples += 1;
                extents.entry(row.shard.clone()).or_default().extend(row.members());
            }
        }
    }
    if done.samples > 0 {
        hashes.insert(0, hash_file(&path)?);
        let held = |(because, value): (&String, &String)| Removal {
            by: "held".to_string(),
            value: value.clone(),
            because: because.clone(),
            time_ms: now_ms,
        };
        let held: Vec<Removal> = requests.iter().flat_map(|request| hashes.iter().map(move |hash| (request, hash))).map(held).collect();
        if removed.extend(&held) {
            removed.write(place)?;
        }
        if archives {
            forget_sums(folder, extents.keys())?;
            for (shard, extents) in &extents {
                let tar = store::beside(folder, shard);
                let missed = erase(&tar, extents)?;
                done.missed.extend(missed.iter().map(|extent| format!("{} at byte {}", tar.display(), extent.offset)));
            }
        }
        rewrite::<Sample>(&path, |row| removed.sample(&row).is_none().then_some(row))?;
    }
    if !replaced(&TableReader::<Sample>::open_all(&path)?).is_empty() {
        settle(folder, &removed)?;
    }
    Ok(done)
}

/// The hashes in a table's note [`REPLACES`].
fn replaced<R: Row>(reader: &TableReader<R>) -> Vec<String> {
    reader.note(REPLACES).into_iter().flat_map(|list| list.split(',')).map(str::to_string).collect()
}

/// Writes the table at `path` again with the rows that `keep` gives back, and a note of the file's hash before.
///
/// # Errors
/// As [`TableReader::open`] and [`TableWriter::finish`]; the table is untouched then.
pub fn rewrite<R: Row>(path: &Path, mut keep: impl FnMut(R) -> Option<R>) -> Result<(), Error> {
    let reader = TableReader::<R>::open_all(path)?;
    let mut hashes = replaced(&reader);
    hashes.insert(0, hash_file(path)?);
    let hashes = hashes.join(",");
    let notes: Vec<(String, String)> = reader.notes().iter().filter(|(key, _)| key != REPLACES).cloned().collect();
    let mut notes: Vec<(&str, &str)> = notes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    notes.push((REPLACES, &hashes));
    put(path, |path| {
        let mut writer = TableWriter::create(path, &notes)?;
        for batch in reader {
            batch?.into_iter().filter_map(&mut keep).try_for_each(|row| writer.push(row))?;
        }
        writer.finish().map(drop)
    })
}

/// Lets `write` make the file at `path`: here, or beside and sent to its address.
pub(crate) fn put(path: &Path, write: impl FnOnce(&Path) -> Result<(), Error>) -> Result<(), Error> {
    if !store::is_address(path) {
        return write(path);
    }
    let folder = tempfile::tempdir().map_err(Error::io("make a temporary folder for", path))?;
    let file = folder.path().join("file");
    write(&file)?;
    store::send(&file, path)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let Some(text) = store::read(path)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| Error::Json { path: path.to_path_buf(), why: error.to_string() })
}

/// Takes the sums of archives that are about to change out of `sums.json`; [`settle`] puts new ones in.
fn forget_sums<'a>(folder: &Path, shards: impl Iterator<Item = &'a String>) -> Result<(), Error> {
    let path = folder.join(SUMS);
    let Some(mut sums) = read_json::<BTreeMap<String, String>>(&path)? else { return Ok(()) };
    shards.for_each(|shard| drop(sums.remove(shard)));
    put(&path, |path| write_json(path, &sums))
}

/// Makes everything that counts or sums the manifest's samples agree with it again.
fn settle(folder: &Path, removed: &Removed) -> Result<(), Error> {
    let (mut rows, mut sizes, mut pairs) = (0, BTreeMap::<String, u64>::new(), HashSet::<PairId>::new());
    let is_selection = folder.join("reasons.parquet").exists();
    for batch in TableReader::<Sample>::open_all(&folder.join("manifest.parquet"))? {
        for row in batch? {
            rows += 1;
            if is_selection {
                pairs.extend(row.pair_ids);
            }
            *sizes.entry(row.shard).or_default() += 1;
        }
    }
    let path = folder.join("sizes.json");
    if let Some(before) = read_json::<BTreeMap<String, u64>>(&path)? {
        let now: BTreeMap<&String, u64> = before.keys().map(|tar| (tar, sizes.get(tar).copied().unwrap_or(0))).collect();
        put(&path, |path| write_json(path, &now))?;
        let path = folder.join(SUMS);
        if let Some(mut sums) = read_json::<BTreeMap<String, String>>(&path)? {
            for tar in before.keys() {
                if !sums.contains_key(tar) {
                    sums.insert(tar.clone(), hash_file(&store::beside(folder, tar))?);
                }
            }
            put(&path, |path| write_json(path, &sums))?;
        }
    }
    let kept = if is_selection { Some(settle_reasons(folder, &pairs)?) } else { None };
    if let Some(mut meta) = read_json::<Meta>(&folder.join("meta.json"))? {
        meta.properties.insert("samples".to_string(), rows.into());
        if let Some(kept) = kept {
            meta.properties.insert("kept".to_string(), kept.into());
        }
        put(&folder.join("meta.json"), |path| write_json(path, &meta))?;
    }
    settle_card(&folder.join("card.md"), rows, removed)
}

/// Pairs that are no longer in the manifest are no longer kept; returns the number of those that are.
fn settle_reasons(folder: &Path, pairs: &HashSet<PairId>) -> Result<u64, Error> {
    let path = folder.join("reasons.parquet");
    let (mut kept, mut wrong) = (0, false);
    for batch in TableReader::<Reason>::open_all(&path)? {
        for row in batch? {
            let is_there = pairs.contains(&row.pair_id);
            kept += u64::from(row.kept && is_there);
            wrong |= row.kept && !is_there;
        }
    }
    if wrong {
        rewrite::<Reason>(&path, |row| {
            let gone = row.kept && !pairs.contains(&row.pair_id);
            Some(if gone { Reason { kept: false, reason: "removed".to_string(), value: String::new(), ..row } } else { row })
        })?;
    }
    Ok(kept)
}

/// Says in the card that samples went, and drops the hosts that did from its list.
fn settle_card(path: &Path, rows: u64, removed: &Removed) -> Result<(), Error> {
    let Some(card) = store::read(path)? else { return Ok(()) };
    let card = String::from_utf8_lossy(&card).into_owned();
    let told = card.split(CARD_HEADING).next().unwrap_or_default();
    let is_gone = |line: &str| {
        let host = line.strip_prefix("| ").and_then(|line| line.split(" |").next());
        host.is_some_and(|host| removed.url(&format!("http://{host}/")).is_some())
    };
    let mut text: String = told.lines().filter(|line| !is_gone(line)).flat_map(|line| [line, "\n"]).collect();
    text.push_str(CARD_HEADING);
    text.push_str(&format!("\nSamples were taken down on request after this was written; the manifest has {rows} now.\n"));
    put(path, |path| write_atomic(path, text.as_bytes()))
}

#[cfg(test)]
#[path = "takedown_tests.rs"]
mod tests;
