//! A corpus: its description, query list, catalogue, every segment, every selection.

use super::archive::{self, Claim};
use super::findings::{Findings, entries, words};
use super::manifest;
use crate::status::is_crawled_now;
use shards::{Candidate, Extent, PairId, PoolRow, TableReader, outcome};
use sql::{Catalogue, SegmentHeld};
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

const COPY: &str = "put back a copy of it";
const SEGMENT: &str = "put back a copy of it; without one, only a crawl into a new corpus fetches these pictures again";

/// Checks the corpus in `folder`.
pub(super) fn check(findings: &mut Findings, folder: &Path) {
    let live = is_crawled_now(folder);
    if live {
        findings.remark(folder, "a crawl is at work in it: what it has changed meanwhile is left out; check again when it has ended");
    }
    if let Some(meta) = findings.meta(folder, "corpus", COPY) {
        findings.parent(&meta, "queries", &folder.join("queries.parquet"), folder, "put back the list that the corpus was begun with");
    }
    let queries = folder.join("queries.parquet");
    if queries.exists() {
        findings.table::<curation::Query>(&queries, "put back the list that the corpus was begun with", |_, _, _| ());
    }
    findings.removals(folder);
    let held = catalogue(findings, &folder.join("catalog.sqlite"));
    if let Some((held, newest)) = held {
        for segment in &held {
            self::segment(findings, folder, segment, live);
        }
        if !live {
            leftovers(findings, folder, &held.iter().map(|segment| segment.id).collect(), newest);
        }
    }
    for path in entries(&folder.join("plans")).iter().filter(|path| path.extension().is_some_and(|end| end == "parquet")) {
        // A crawl that is at work removes those that are done.
        if !path.exists() && (live || is_crawled_now(folder)) {
            continue;
        }
        findings.table::<Candidate>(
            path,
            "remove it and its source's open jobs are planned anew in a new corpus; else put back a copy",
            |_, _, _| (),
        );
    }
    for path in entries(&folder.join("selection")).iter().filter(|path| path.is_dir() && !is_part(path)) {
        manifest::selection(findings, path);
    }
}

/// What the catalogue says of segments, and the largest number that a job had; `None` when it cannot be read.
fn catalogue(findings: &mut Findings, path: &Path) -> Option<(Vec<SegmentHeld>, u64)> {
    findings.opened();
    if !path.exists() {
        findings.damage(path, "it is missing: nothing says which segments count", COPY);
        return None;
    }
    let read = Catalogue::open_read_only(path)
        .and_then(|catalogue| Ok((catalogue.damage()?, catalogue.segments_held()?, catalogue.newest_job()?)));
    match read {
        Ok((damage, held, newest)) => {
            damage
                .iter()
                .for_each(|line| findings.damage(path, line, "put back a copy, or save what is left with `sqlite3 FILE .recover`"));
            Some((held, newest))
        }
        Err(error) => {
            findings.damage(path, words(&error), COPY);
            None
        }
    }
}

/// The tables and the tar of a segment, against each other and against the catalogue.
fn segment(findings: &mut Findings, folder: &Path, segment: &SegmentHeld, live: bool) {
    let id = segment.id;
    let (mut fetched, mut removed) = (0, 0);
    let path = folder.join(format!("candidates/{id:05}.parquet"));
    let moved = moved(findings, folder, segment, &path);
    let mut left = 0;
    let rows = findings.table::<Candidate>(&path, SEGMENT, |findings, at, row| {
        let is_removed = row.outcome == outcome::REMOVED;
        left += u64::from(moved.contains(&row.pair_id));
        fetched += u64::from(row.outcome == outcome::OK);
        removed += u64::from(row.was_removed_from_pool());
        if !is_removed && row.pair_id != PairId::new(&row.image_url, &row.caption) {
            findings.damage(&path, format!("row {at}: pair id {} is not that of its URL and caption", row.pair_id), SEGMENT);
        }
    });
    if let Some(rows) = rows {
        if left > 0 && rows - left == segment.candidates {
            findings
                .remark(&path, format!("{left} rows were moved to be decided anew when a crawl was killed; the next one takes them out"));
        } else if rows == segment.candidates || !(live || is_crawled_now(folder)) {
            findings.equal(&path, "rows", rows, segment.candidates, "the catalogue", SEGMENT);
        }
        findings.equal(&path, "fetched pairs", counted(fetched, removed, segment.pairs), segment.pairs, "the catalogue", SEGMENT);
    }
    if segment.pairs == 0 {
        return;
    }
    let path = folder.join(format!("pool/{id:05}.parquet"));
    let mut claims = Vec::new();
    let rows = findings.table::<PoolRow>(&path, SEGMENT, |findings, row, pool| {
        if pool.pair_id != PairId::new(&pool.url, &pool.caption) {
            findings.damage(&path, format!("row {row}: pair id {} is not that of its URL and caption", pool.pair_id), SEGMENT);
        }
        claims.push(Claim {
            row,
            image: pool.image(),
            text: Extent { offset: pool.text_offset, length: pool.text_length },
            json: Extent { offset: pool.json_offset, length: pool.json_length },
            key: pool.key,
            caption: pool.caption,
            image_id: None,
        });
    });
    let tar = folder.join(format!("pool/{id:05}.tar"));
    if let Some(rows) = rows {
        findings.equal(&path, "rows", counted(rows, removed, segment.pairs), segment.pairs, "the catalogue", SEGMENT);
        archive::check(findings, &tar, &claims, true, SEGMENT);
    }
    if let Ok(file) = std::fs::metadata(&tar) {
        findings.equal(&tar, "bytes", file.len(), segment.bytes, "the catalogue", SEGMENT);
    }
}

/// Pairs by the catalogue's way to count: a takedown corrects its numbers last, so that of those removed since some may be counted still.
fn counted(there: u64, removed: u64, expected: u64) -> u64 {
    expected.clamp(there, there + removed)
}

/// The pairs that a killed crawl was about to take out of a segment's candidates: looked for where the table has another number of rows
/// than the catalogue says.
fn moved(findings: &mut Findings, folder: &Path, segment: &SegmentHeld, table: &Path) -> HashSet<PairId> {
    let rows = TableReader::<Candidate>::open_all(table).map(|reader| reader.row_count());
    if rows.is_ok_and(|rows| rows == segment.candidates) {
        return HashSet::new();
    }
    crawler::moved_from(folder, segment.id).unwrap_or_else(|error| {
        findings.remark(table, format!("the plans that may hold its rows cannot be read: {}", words(&error)));
        HashSet::new()
    })
}

/// Files of segments that the catalogue does not know: left by a killed crawl.
fn leftovers(findings: &mut Findings, folder: &Path, known: &BTreeSet<u64>, newest: u64) {
    for path in ["pool", "candidates"].iter().flat_map(|name| entries(&folder.join(name))) {
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if !number.is_some_and(|number| known.contains(&number)) {
            if is_crawled_now(folder) {
                continue;
            }
            if number.is_some_and(|number| number > newest) {
                findings.damage(
                    &path,
                    "belongs to a job that the catalogue never had: that is missing or older",
                    "put back its newest copy",
                );
            } else {
                findings.remark(&path, "belongs to no finished job; the next crawl removes it");
            }
        }
    }
}

/// What a killed program left beside its place.
pub(super) fn is_part(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".diptych-part")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_taken_down_may_be_counted_or_not() {
        assert_eq!([9, 10, 11, 12, 13].map(|says| counted(10, 2, says) == says), [false, true, true, true, false]);
        assert_eq!(counted(7, 0, 8), 7);
    }
}
