//! Manifests and the tars they speak of: selections, which point into the pool, and shards, which have tars of their own.

use super::archive::{self, Claim};
use super::findings::{Findings, entries, is_there, words};
use shards::{Reason, SUMS, Sample, beside, hash_file, member_at};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};

const AGAIN: &str = "make the selection again with `diptych curate`";
const PACK: &str = "write the shards again with `diptych shard` or `diptych import`";

/// Checks a selection of a corpus, two folders above.
pub(super) fn selection(findings: &mut Findings, folder: &Path) {
    let meta = findings.meta(folder, "selection", AGAIN);
    let corpus = folder.join("../..");
    if let Some(meta) = &meta {
        // Its cap may be raised, and nothing else in it ever changes.
        let made_from = meta.parents.get("corpus");
        if made_from.is_some_and(|hash| hash_file(&corpus.join("meta.json")).is_ok_and(|found| found != *hash)) {
            findings.remark(folder, "the corpus has another cap since; `diptych curate` makes the selection anew");
        }
        findings.parent(meta, "queries", &corpus.join("queries.parquet"), folder, "put back the list that the corpus was begun with");
        if meta.parents.get("pool").is_some_and(|hash| pool_hash(&corpus).as_ref() != Some(hash)) {
            findings.remark(folder, "the pool has grown or changed since; `diptych curate` makes the selection anew");
        }
    }
    let number = |name: &str| meta.as_ref().and_then(|meta| meta.properties.get(name)).and_then(|value| value.as_u64());
    let path = folder.join("manifest.parquet");
    let mut open: Option<(String, Option<File>)> = None;
    let rows = findings.table::<Sample>(&path, AGAIN, |findings, at, row| {
        if row.captions.len() != row.pair_ids.len() {
            findings.damage(&path, format!("row {at} has {} captions and {} pairs", row.captions.len(), row.pair_ids.len()), AGAIN);
        }
        let tar = beside(folder, &row.shard);
        if open.as_ref().is_none_or(|(name, _)| *name != row.shard) {
            let file = File::open(&tar).ok();
            if file.is_none() {
                findings.damage(&path, format!("row {at} ({}) speaks of {}, which is missing", row.sample_key, row.shard), AGAIN);
            }
            open = Some((row.shard.clone(), file));
        }
        // The members' bytes are checked with the pool; here only that the manifest points at them.
        let Some((_, Some(file))) = &open else { return };
        match member_at(file, &tar, row.image()) {
            Ok(member) if member.name.rsplit_once('.').is_some_and(|(stem, _)| stem == row.sample_key) => {}
            Ok(member) => findings.damage(&path, format!("row {at} ({}) points at {}", row.sample_key, member.name), AGAIN),
            Err(error) => findings.damage(&path, format!("row {at} ({}): {}", row.sample_key, words(&error)), AGAIN),
        }
    });
    if let (Some(rows), Some(samples)) = (rows, number("samples")) {
        findings.equal(&path, "rows", rows, samples, "meta.json", AGAIN);
        findings.manifest(&path);
    }
    let path = folder.join("reasons.parquet");
    let mut kept = 0;
    if let Some(rows) = findings.table::<Reason>(&path, AGAIN, |_, _, row| kept += u64::from(row.kept))
        && let (Some(pairs), Some(keeps)) = (number("pairs"), number("kept"))
    {
        findings.equal(&path, "rows", rows, pairs, "meta.json", AGAIN);
        findings.equal(&path, "kept pairs", kept, keeps, "meta.json", AGAIN);
    }
}

/// BLAKE3 over each pool table's number and hash, as a selection describes the pool it was made from.
fn pool_hash(corpus: &Path) -> Option<String> {
    let mut files: Vec<(u64, PathBuf)> = Vec::new();
    for path in entries(&corpus.join("pool")) {
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".parquet")?.parse().ok());
        files.extend(number.map(|number| (number, path)));
    }
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for (number, path) in files {
        hasher.update(format!("{number} {}\n", hash_file(&path).ok()?).as_bytes());
    }
    Some(hasher.finalize().to_hex().to_string())
}

/// The rows of one tar, while the manifest is read.
struct Group {
    shard: String,
    claims: Vec<Claim>,
}

/// Checks a folder with a manifest and tars: shards or imported data.
pub(super) fn shards(findings: &mut Findings, folder: &Path) {
    let meta = findings.meta(folder, "shards", PACK);
    // What `import folder:` packs is stored as it was; `import tar:` leaves others' archives where they are.
    let imported = meta.as_ref().and_then(|meta| meta.properties.get("imported")).and_then(|kind| kind.as_str()).map(str::to_string);
    let ours = !matches!(imported.as_deref(), Some("tar" | "img2dataset" | "datacomp"));
    let classes = classes(findings, folder);
    findings.removals(folder);
    let path = folder.join("manifest.parquet");
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    let mut done: HashSet<String> = HashSet::new();
    let mut group: Option<Group> = None;
    let finish = |findings: &mut Findings, group: Group, done: &mut HashSet<String>| {
        // Manifests list their tars one after the other; in one that does not, a second look cannot know of the first one's rows.
        let first = done.insert(group.shard.clone());
        archive::check(findings, &beside(folder, &group.shard), &group.claims, ours && first, PACK);
    };
    let rows = findings.table::<Sample>(&path, PACK, |findings, at, row| {
        *sizes.entry(row.shard.clone()).or_default() += 1;
        if let (Some(label), Some(classes)) = (row.label, classes)
            && u64::from(label) >= classes
        {
            findings.damage(&path, format!("row {at} has class {label}, classes.json has {classes}"), PACK);
        }
        if let Some(old) = group.take_if(|group| group.shard != row.shard) {
            finish(findings, old, &mut done);
        }
        let claim = Claim {
            row: at,
            image: row.image(),
            text: row.text(),
            json: row.json(),
            caption: row.captions.first().cloned().unwrap_or_default(),
            image_id: imported.is_some().then_some(row.image_id),
            key: row.sample_key,
        };
        group.get_or_insert_with(|| Group { shard: row.shard, claims: Vec::new() }).claims.push(claim);
    });
    if let Some(group) = group.take() {
        finish(findings, group, &mut done);
    }
    if let Some(meta) = &meta {
        if let (Some(rows), Some(samples)) = (rows, meta.properties.get("samples").and_then(|value| value.as_u64())) {
            findings.equal(&path, "rows", rows, samples, "meta.json", PACK);
        }
        findings.child(folder, meta);
    }
    sums(findings, folder);
    if rows.is_some() {
        findings.manifest(&path);
        agree_with_sizes(findings, folder, &sizes);
    }
}

/// The BLAKE3 of each tar as a whole: what is between its members counts too.
fn sums(findings: &mut Findings, folder: &Path) {
    let path = folder.join(SUMS);
    if !is_there(&path) {
        return;
    }
    for (name, sum) in findings.json::<BTreeMap<String, String>>(&path, PACK).unwrap_or_default() {
        // A name from a file: only files of this very folder are asked.
        let tar = folder.join(Path::new(&name).file_name().unwrap_or_default());
        match hash_file(&tar) {
            Ok(found) if found == sum => {}
            Ok(_) => findings.damage(&tar, format!("its bytes as a whole are not those that {SUMS} tells of"), PACK),
            Err(error) => findings.failed(&tar, &error, PACK),
        }
    }
}

/// `sizes.json`, and the tars that lie there, against the manifest.
fn agree_with_sizes(findings: &mut Findings, folder: &Path, sizes: &BTreeMap<String, u64>) {
    let path = folder.join("sizes.json");
    if is_there(&path)
        && let Some(mut said) = findings.json::<BTreeMap<String, u64>>(&path, PACK)
        // A tar whose samples were all taken down stays, for its name.
        && { said.retain(|tar, n| *n > 0 || sizes.contains_key(tar)); said != *sizes }
    {
        findings.damage(&path, "the numbers of samples by tar are not those of the manifest", PACK);
    }
    for tar in entries(folder).iter().filter(|path| path.extension().is_some_and(|end| end == "tar")) {
        let name = tar.file_name().unwrap_or_default().to_string_lossy();
        if !sizes.contains_key(name.as_ref()) {
            findings.remark(tar, "the manifest does not speak of it");
        }
    }
}

/// The number of classes, where there are some.
fn classes(findings: &mut Findings, folder: &Path) -> Option<u64> {
    let path = folder.join("classes.json");
    if !is_there(&path) {
        return None;
    }
    findings.json::<Vec<String>>(&path, PACK).map(|names| names.len() as u64)
}
