//! A corpus: which pairs are meant, then its selections, segments, candidates and plans rewritten.

use super::Done;
use crate::failure::Failure;
use shards::{
    Candidate, Meter, PairId, PoolRow, Removal, Removed, TableReader, erase, outcome, rewrite as rewrite_table, table_row, take_down,
};
use std::collections::{BTreeMap, HashSet};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// The pairs of the pool that are meant by an address, a host or a picture: shards and candidates know them by their ids.
///
/// # Errors
/// When a table of the pool cannot be read.
pub(super) fn pairs(corpus: &Path, removed: &Removed, now_ms: i64, meter: &Meter) -> Result<Vec<Removal>, Failure> {
    meter.say("looking for it");
    let mut found = Vec::new();
    for path in tables(&corpus.join("pool"))? {
        for batch in TableReader::<PoolRow>::open_all(&path)? {
            let batch = batch?;
            meter.add(batch.len() as u64);
            for row in batch {
                let because = removed.pool_row(&row).filter(|_| removed.pair(&row.pair_id).is_none());
                found.extend(because.map(|because| Removal {
                    by: "pair".to_string(),
                    value: row.pair_id.to_string(),
                    because: because.to_string(),
                    time_ms: now_ms,
                }));
            }
        }
    }
    Ok(found)
}

/// Makes sure that no crawl is at work, whose files would change under this one, and that none begins.
///
/// # Errors
/// When one is.
pub(super) fn lock(corpus: &Path) -> Result<File, Failure> {
    let path = corpus.join("crawl.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(shards::Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(shards::Error::io("lock", &path)(error).into()),
        Err(TryLockError::WouldBlock) => Err(std::io::Error::other(format!(
            "a crawl is at work in {}: readers obey what was asked for already, and so does its next job; give the same command again when it has ended",
            corpus.display()
        ))
        .into()),
    }
}

/// Rewrites everything below the corpus folder that holds what was taken down.
///
/// # Errors
/// When a file cannot be read or written; done again, it goes on.
pub(super) fn rewrite(corpus: &Path, now_ms: i64, done: &mut Done, meter: &Meter) -> Result<(), Failure> {
    let removed = Removed::read(corpus)?;
    meter.say("selections");
    for folder in folders(&corpus.join("selection"))? {
        done.add(take_down(&folder, corpus, false, now_ms)?);
    }
    meter.say("pool");
    for path in tables(&corpus.join("pool"))? {
        segment(&path, &removed, done, meter)?;
    }
    meter.say("candidates");
    for path in tables(&corpus.join("candidates"))?.into_iter().chain(tables(&corpus.join("plans"))?) {
        candidates(&path, &removed, done, meter)?;
    }
    meter.say("counts");
    recount(corpus)
}

/// Makes the catalogue's counts those of the tables again. What was interrupted before this step is counted by the next call.
fn recount(corpus: &Path) -> Result<(), Failure> {
    let path = corpus.join("catalog.sqlite");
    if !path.exists() {
        return Ok(());
    }
    let catalogue = sql::Catalogue::open(&path)?;
    let (mut pairs, mut outcomes) = (Vec::new(), BTreeMap::<String, u64>::new());
    for segment in catalogue.segments_held()? {
        if segment.pairs > 0 {
            let rows = TableReader::<PoolRow>::open_all(&corpus.join(format!("pool/{:05}.parquet", segment.id)))?.row_count();
            pairs.push((segment.id, rows));
        }
        let table = TableReader::<Outcome>::open_all(&corpus.join(format!("candidates/{:05}.parquet", segment.id)))?;
        // Rows that a killed crawl moved to a plan are counted by nobody until they are decided anew.
        let moved = if table.row_count() == segment.candidates { HashSet::new() } else { crawler::moved_from(corpus, segment.id)? };
        for batch in table {
            for row in batch?.into_iter().filter(|row| !moved.contains(&row.pair_id)) {
                *outcomes.entry(row.outcome).or_default() += 1;
            }
        }
    }
    // Other names count pages, list rows and pairs that have no row.
    let counted = outcome::ALL.iter().filter(|name| **name != outcome::DUPLICATE_URL);
    let known = catalogue.outcomes()?;
    let is_known = |name: &str| known.iter().any(|(known, _)| known == name);
    let outcomes: Vec<(String, u64)> = counted
        .map(|name| (name.to_string(), outcomes.get(*name).copied().unwrap_or(0)))
        .filter(|(name, count)| *count > 0 || is_known(name))
        .collect();
    Ok(catalogue.recount(&outcomes, &pairs)?)
}

table_row! {
    /// The columns of a candidate that are needed to count it.
    struct Outcome in "candidates" {
        /// The pair.
        pair_id: PairId,
        /// What became of it.
        outcome: String,
    }
}

/// A segment: its tar first, so that rows lead to what is still to be erased until it is.
fn segment(table: &Path, removed: &Removed, done: &mut Done, meter: &Meter) -> Result<(), Failure> {
    let mut extents = Vec::new();
    let mut pairs = 0;
    for batch in TableReader::<PoolRow>::open_all(table)? {
        let batch = batch?;
        meter.add(batch.len() as u64);
        for row in batch.iter().filter(|row| removed.pool_row(row).is_some()) {
            extents.extend(row.members());
            pairs += 1;
        }
    }
    if pairs == 0 {
        return Ok(());
    }
    let tar = table.with_extension("tar");
    let missed = erase(&tar, &extents)?;
    done.missed.extend(missed.iter().map(|extent| format!("{} at byte {}", tar.display(), extent.offset)));
    rewrite_table::<PoolRow>(table, |row| removed.pool_row(&row).is_none().then_some(row))?;
    done.pairs += pairs;
    Ok(())
}

/// Candidates keep their row, so that the pair is not seen as new, but nothing else.
fn candidates(table: &Path, removed: &Removed, done: &mut Done, meter: &Meter) -> Result<(), Failure> {
    let mut hits = 0;
    for batch in TableReader::<Candidate>::open_all(table)? {
        let batch = batch?;
        meter.add(batch.len() as u64);
        hits += batch.iter().filter(|row| row.outcome != "removed" && removed.candidate(row).is_some()).count() as u64;
    }
    if hits == 0 {
        return Ok(());
    }
    rewrite_table::<Candidate>(table, |mut row| {
        if removed.candidate(&row).is_some() {
            row.take_down();
        }
        Some(row)
    })?;
    done.candidates += hits;
    Ok(())
}

/// The finished tables in a folder, by name; none when there is no such folder.
fn tables(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    Ok(entries(folder)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "parquet")).collect())
}

/// The finished selections.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    Ok(entries(folder)?
        .into_iter()
        .filter(|path| path.join("manifest.parquet").exists() && path.extension().is_none_or(|end| end != "diptych-part"))
        .collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let listed = match std::fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(shards::Error::io("list", folder)(error).into()),
    };
    let mut paths = listed
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(shards::Error::io("list", folder))?;
    paths.sort();
    Ok(paths)
}
