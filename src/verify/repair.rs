//! `verify --repair`: rebuilds what can be rebuilt from what is whole, and says what it rebuilt. What is left, the next check lists.

use super::Kind;
use super::findings::{entries, words};
use shards::{
    Candidate, Expected, Extent, Meta, Meter, PoolRow, Row, SUMS, Sample, ShuffleOptions, TableReader, TarReader, beside, check_sum,
    hash_file, member_sum, mend, read_extent, rebuild_manifest, rebuild_pool, shuffle, write_json,
};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Longest member read, in bytes.
const MAX_MEMBER: u64 = 1 << 28;

/// Repairs one folder. `parents` gives the path of a manifest by its hash.
pub(super) fn repair(kind: Kind, folder: &Path, parents: &HashMap<String, PathBuf>, meter: &Meter) {
    match kind {
        Kind::Corpus => corpus(folder),
        Kind::Shards => shards(folder, parents, meter),
        // A selection is made again by `curate`, a run goes on from the checkpoint before.
        Kind::Selection | Kind::Run => {}
    }
}

fn rebuilt(path: &Path, what: impl std::fmt::Display) {
    println!("rebuilt  {}: {what}", path.display());
}

fn left(path: &Path, why: impl std::fmt::Display) {
    println!("left     {}: {why}", path.display());
}

/// Whether a table can be read whole.
fn is_whole<R: Row>(path: &Path) -> bool {
    let read = || TableReader::<R>::open_all(path).is_ok_and(|mut reader| reader.all(|batch| batch.is_ok()));
    check_sum(path, |_| ()).is_ok() && read()
}

fn corpus(folder: &Path) {
    for tar in entries(&folder.join("pool")).into_iter().filter(|path| path.extension().is_some_and(|end| end == "tar")) {
        let table = tar.with_extension("parquet");
        let candidates = folder.join("candidates").join(table.file_name().unwrap_or_default());
        let candidates: Vec<Candidate> = TableReader::read_all(&candidates).unwrap_or_default();
        if is_whole::<PoolRow>(&table) {
            mend_segment(&tar, &table, &candidates);
            continue;
        }
        match rebuild_pool(&tar, &candidates) {
            Ok(rows) => rebuilt(&table, format!("{rows} rows from {}, measured of the stored pictures", tar.display())),
            Err(error) => left(&table, words(&error)),
        }
    }
}

fn mend_segment(tar: &Path, table: &Path, candidates: &[Candidate]) {
    let found: HashMap<_, _> = candidates.iter().map(|candidate| (candidate.pair_id, candidate)).collect();
    let rows: Vec<PoolRow> = TableReader::open_all(table).into_iter().flatten().filter_map(Result::ok).flatten().collect();
    let members = rows.iter().flat_map(|row| {
        let [image, text, json] = row.members();
        let record = found.get(&row.pair_id).map(|candidate| row.record(candidate).into_bytes());
        expected(&row.key, image, (text, Some(row.caption.clone().into_bytes())), (json, record))
    });
    mend_all(tar, &members.collect::<Vec<_>>());
}

fn expected(key: &str, image: Extent, text: (Extent, Option<Vec<u8>>), json: (Extent, Option<Vec<u8>>)) -> [Expected; 3] {
    let member = |suffix, extent, data| Expected { key: key.to_string(), suffix, extent, data };
    [member(None, image, None), member(Some("txt"), text.0, text.1), member(Some("json"), json.0, json.1)]
}

fn mend_all(tar: &Path, members: &[Expected]) {
    match mend(tar, members) {
        Ok(done) => {
            if done.members > 0 {
                rebuilt(tar, format!("{} members from their rows", done.members));
            }
            done.lost.iter().for_each(|lost| left(tar, lost));
        }
        Err(error) => left(tar, words(&error)),
    }
}

fn shards(folder: &Path, parents: &HashMap<String, PathBuf>, meter: &Meter) {
    let meta = Meta::read(folder, "shards").ok().flatten();
    let imported = meta.as_ref().and_then(|meta| meta.properties.get("imported")?.as_str().map(str::to_string));
    // Their archives are others': only the manifest is ours, and an import makes it again.
    let refers = matches!(imported.as_deref(), Some("tar" | "img2dataset" | "datacomp"));
    let path = folder.join("manifest.parquet");
    let is_damaged = !is_whole::<Sample>(&path) || tars(folder).iter().any(|tar| !tar_is_whole(tar)) || tars_missing(&path);
    if let Some(meta) = meta.as_ref().filter(|_| is_damaged && !refers)
        && let Some(parent) = meta.parents.get("manifest").and_then(|hash| parents.get(hash))
    {
        match again(folder, meta, parent, meter) {
            Ok(()) => return rebuilt(folder, format!("packed again from {}", parent.display())),
            Err(error) => left(folder, words(&error)),
        }
    }
    if refers {
        return;
    }
    if !is_whole::<Sample>(&path) {
        match rebuild_manifest(folder) {
            Ok(rows) => rebuilt(&path, format!("{rows} rows from the records in the tars")),
            Err(error) => return left(&path, words(&error)),
        }
    }
    let mut members: BTreeMap<String, Vec<Expected>> = BTreeMap::new();
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for row in TableReader::<Sample>::open_all(&path).into_iter().flatten().filter_map(Result::ok).flatten() {
        *sizes.entry(row.shard.clone()).or_default() += 1;
        let text = row.captions.first().cloned().unwrap_or_default().into_bytes();
        let expected = expected(&row.sample_key, row.image(), (row.text(), Some(text)), (row.json(), None));
        members.entry(row.shard).or_default().extend(expected);
    }
    for (shard, members) in members {
        let tar = beside(folder, &shard);
        if !tar_is_whole(&tar) {
            mend_all(&tar, &members);
        }
    }
    count(folder, sizes);
}

/// Whether a tar that the manifest speaks of is not there.
fn tars_missing(manifest: &Path) -> bool {
    let folder = manifest.parent().unwrap_or(Path::new(""));
    let rows = TableReader::<Sample>::open_all(manifest).into_iter().flatten().filter_map(Result::ok).flatten();
    let names: std::collections::BTreeSet<String> = rows.map(|row| row.shard).collect();
    names.iter().any(|name| !beside(folder, name).exists())
}

fn tars(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "tar")).collect()
}

/// Whether every member has the sum that its header carries, up to the end mark.
fn tar_is_whole(path: &Path) -> bool {
    let (Ok(reader), Ok(file)) = (TarReader::open(path), File::open(path)) else { return false };
    reader.into_iter().all(|member| {
        let Ok(member) = member else { return false };
        let length = member.extent.length.min(MAX_MEMBER);
        read_extent(&file, path, Extent { length, ..member.extent })
            .is_ok_and(|bytes| member.sum.is_none_or(|sum| sum == member_sum(&bytes)))
    })
}

/// Packs the shards again from the manifest they were made from: the same bytes.
fn again(folder: &Path, meta: &Meta, parent: &Path, meter: &Meter) -> Result<(), shards::Error> {
    let number = |name: &str| meta.properties.get(name).and_then(|value| value.as_u64());
    let mut options = ShuffleOptions::new(parent, folder);
    options.holdout = meta.properties.get("holdout").and_then(|value| value.as_f64()).unwrap_or(0.0);
    options.seed = number("seed").unwrap_or(options.seed);
    options.samples_per_shard = number("samples_per_shard").map_or(options.samples_per_shard, |n| n as usize);
    options.max_shard_bytes = number("max_shard_bytes").unwrap_or(options.max_shard_bytes);
    // A parent that is damaged too would lose what this folder may still have.
    let trial = folder.with_extension("repair");
    let summary = shuffle(&ShuffleOptions { out: trial.clone(), ..options.clone() }, meter)?;
    let removed = std::fs::remove_dir_all(&trial).map_err(shards::Error::io("remove", &trial));
    let samples = number("samples").unwrap_or(summary.samples);
    if summary.samples != samples {
        let why = format!("packing it again gives {} samples, it had {samples}", summary.samples);
        return Err(shards::Error::Unusable { path: folder.to_path_buf(), why });
    }
    removed?;
    shuffle(&options, meter).map(drop)
}

/// Makes `sizes.json` and `sums.json` anew where they differ; a damaged tar keeps the sum that it should have.
fn count(folder: &Path, sizes: BTreeMap<String, u64>) {
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let said: Option<BTreeMap<String, u64>> = read("sizes.json").and_then(|text| serde_json::from_slice(&text).ok());
    let mut now = sizes.clone();
    now.extend(said.iter().flatten().filter(|(tar, n)| **n == 0 && !sizes.contains_key(*tar)).map(|(tar, n)| (tar.clone(), *n)));
    if said.as_ref() != Some(&now) {
        report(&folder.join("sizes.json"), write_json(&folder.join("sizes.json"), &now), "counts of the manifest");
    }
    let path = folder.join(SUMS);
    let said: BTreeMap<String, String> = read(SUMS).and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let mut sums = said.clone();
    for tar in tars(folder) {
        let name = tar.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let (true, Ok(sum)) = (tar_is_whole(&tar), hash_file(&tar)) {
            sums.insert(name, sum);
        }
    }
    if sums != said || !path.exists() {
        report(&path, write_json(&path, &sums), "sums of the tars that are whole");
    }
}

fn report(path: &Path, written: Result<(), shards::Error>, what: &str) {
    match written {
        Ok(()) => rebuilt(path, what),
        Err(error) => left(path, words(&error)),
    }
}
